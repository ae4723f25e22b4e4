# make demo      upscale the clip in examples/, show a frame beside Lanczos, and say where they are
# make test      lint, types and every test
# make test-mpv  test the player's side with a real mpv; builds one if there is none (root, debootstrap, minutes)
# make models    make all models again (many hours), from the photographs in $(DATA)/train and the networks of 0.2.0
# make systems   train the systems of the papers, export them, compare them (hours): docs/results/systems.md
# make results   measure the models on $(DATA) and write the tables of README and docs/results, and their pictures
# make docs      build the site of the documents and the API in site/
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

# VapourSynth looks its configuration up by the real path of its library: an environment that is reached through a
# symbolic link would be written down under another name and never found.
VENV := $(realpath .)/.venv
# make splits names at spaces: make clean would remove other folders.
ifneq ($(words $(VENV)),1)
$(error The path of this folder has a space, which make cannot handle: move the checkout)
endif
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip --disable-pip-version-check --quiet install
DATA ?= ../shared/data
WORK ?= work
# Where the perceptual objective looks for it, whatever WORK is.
VGG = work/vgg16-conv.safetensors
RECIPES = $(wildcard train/recipes/*.toml)
# The parts that the last ones start from or learn from. Those of fast that are missing here are not needed: what follows
# them starts from train/starts.
DRAFTS = $(wildcard $(addprefix train/recipes/trials/,light-*.toml quality-*.toml \
	fast-8by5-draft*.toml fast-4by3-draft*.toml fast-2by1-draft2.toml \
	fast-2by1-crisp-draft5.toml fast-8by5-crisp-draft3.toml fast-8by5-crisp-draft4.toml fast-4by3-crisp-draft3.toml))
SYSTEMS = $(wildcard train/recipes/systems/*.toml)
# The others are what these start from or are compared with.
RELEASED = $(filter-out %-local.toml %/artefacts-1x.toml %-mixed.toml %-psnr.toml,$(SYSTEMS))

.PHONY: demo test test-mpv models systems results docs clean

demo: $(VENV)/ready
	$(BIN)/vs-srcomp upscale examples/demo.mkv out.mkv --ratio 2:1 --overwrite
	$(BIN)/python examples/side_by_side.py examples/demo.mkv out.png
	@echo
	@echo "The video is out.mkv; out.png shows a frame of it beside plain Lanczos. To go on, in this and in each new shell:"
	@echo "  . .venv/bin/activate && vs-srcomp --help"

test: $(VENV)/ready-for-tests
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m pytest

test-mpv: $(VENV)/ready-for-tests
	PYTHON=$(BIN)/python scripts/test-mpv.sh

# Of the photographs in $(DATA)/train.
LICENCE = "photographs: CC0, public domain, CC BY-SA, Unsplash, Pexels"

# The networks of one level each of 0.2.0, which those of today are made of, are in the history alone.
OF_ONE_LEVEL = e4e5c13

models: $(VENV)/ready-for-tests
	mkdir -p $(WORK)/0.2.0
	for name in srcomp-{fast,quality}-{8by5,4by3}; do \
		for q in 20 30 40 50; do git show $(OF_ONE_LEVEL):engines/$$name-q$$q.onnx > $(WORK)/0.2.0/$$name-q$$q.onnx; done; \
		$(BIN)/python -m train merge-levels $(WORK)/0.2.0/$$name-q{20,30,40,50}.onnx \
			--out $(WORK)/runs/$$name-levels/weights.safetensors; \
	done
	$(BIN)/python -m train draw --out $(WORK)/drawn
	mkdir -p $(dir $(VGG)); test -e $(VGG) || $(BIN)/python -m train vgg-weights $(VGG)
	$(BIN)/python -m train fit $(RECIPES) $(DRAFTS) --images $(DATA)/train --images $(WORK)/drawn --work $(WORK)
	$(BIN)/python -m train export $(RECIPES) $(DRAFTS) --images $(DATA)/train --images $(WORK)/drawn --work $(WORK) \
		--licence $(LICENCE)
	$(BIN)/python -m train ranges --images $(DATA)/train --work $(WORK)

# What espcn-2x-video learns from; it is measured on the videos in $(DATA)/video.
FILMS = $(addprefix --images $(DATA)/av1/,beach.webm presentation.webm sample_av1.mp4 \
	test-25fps.av1.ivf)

# In the order in which they start from one another; what is trained already is kept.
systems: $(VENV)/ready-for-tests
	mkdir -p $(dir $(VGG)); test -e $(VGG) || $(BIN)/python -m train vgg-weights $(VGG)
	$(BIN)/python -m train fit $(SYSTEMS) --images $(DATA)/train $(FILMS) --work $(WORK)
	$(BIN)/python -m train export $(RELEASED) --images $(DATA)/train $(FILMS) --work $(WORK) --licence $(LICENCE)
	$(BIN)/python -m train compare-systems --data $(DATA) --work $(WORK)

AT_2_TO_1 = $(foreach q,20 30 40 50,--pair 2by1-q$(q))

results: $(VENV)/ready-for-tests
	$(BIN)/python -m train evaluate --record --work $(WORK) --tier light --tier fast --tier quality \
		--metrics psnr,ssim,vmaf,vmaf-neg --images $(DATA)/test/kodak
	$(BIN)/python -m train evaluate --record --work $(WORK) --tier light --tier fast --tier quality \
		--ensemble 2 --ensemble 4 --ensemble 8 $(foreach set,set5 set14,--images $(DATA)/test/$(set))
	$(BIN)/python -m train evaluate --record --work $(WORK) --tier light --tier fast --tier quality \
		--images $(DATA)/test/clic
	$(BIN)/python -m train compare-looks --record --work $(WORK) --images $(DATA)/test/kodak
	$(BIN)/python -m train compare-looks --record --work $(WORK) $(AT_2_TO_1) \
		$(foreach set,set5 set14,--images $(DATA)/test/$(set))
	$(BIN)/python -m train compare-looks --record --work $(WORK) $(AT_2_TO_1) --tier light --images $(DATA)/test/kodak
	$(BIN)/python -m train evaluate-video --record --work $(WORK) --tier light --tier fast --tier quality \
		--ratio 2:1 --ratio 8:5 --ratio 4:3 --videos $(DATA)/video
	$(BIN)/python -m train rate --record --data $(DATA) --work $(WORK)
	$(BIN)/python -m train curves
	$(BIN)/python examples/side_by_side.py examples/demo.mkv docs/images/before-after.png 60

docs: $(VENV)/ready
	$(INSTALL) --editable '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "The site is site/index.html"

clean:
	rm -rf $(VENV) build site *.egg-info out.mkv out.png

$(VENV)/made:
	@python=$$(PYTHON="$(PYTHON)" sh scripts/find-python.sh); "$$python" -m venv --clear $(VENV)
	@touch $@

$(VENV)/ready: $(VENV)/made pyproject.toml setup.py
	@echo "Installing vs-srcomp into .venv (the first time, about 200 MB to download)"
	@$(INSTALL) --editable .
	@# Adds one line for this environment to the user's vapoursynth.toml; lines of other installations stay.
	@$(BIN)/vapoursynth config || echo "vspipe and mpv will not find this environment: see README, Troubles" >&2
	@touch $@

$(VENV)/ready-for-tests: $(VENV)/ready
	@echo "Installing what training and tests need (PyTorch: the first time, some gigabytes to download)"
	@$(INSTALL) --editable '.[test,train]'
	@touch $@
