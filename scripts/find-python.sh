#!/bin/sh
# Print the path of a Python that can run vs-srcomp: at least 3.12 and able to make virtual environments. One with a
# shared libpython is preferred, because vspipe and mpv load that. PYTHON=/path/to/python in the environment goes first.
set -eu

candidates() {
    [ -z "${PYTHON:-}" ] || echo "$PYTHON"
    for name in python3.13 python3.14 python3.12 python3 python; do
        command -v "$name" || true
    done
    # Interpreters that pyenv, uv and builds by hand keep off the PATH, newest first.
    for path in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.*/bin/python3 "$HOME"/.local/share/uv/python/*/bin/python3 \
        /usr/local/bin/python3.* /opt/python*/bin/python3; do
        echo "$path"
    done | sort --reverse --version-sort
}

# A pyenv shim for a version that is not chosen, or a broken link, fails here as an old Python does.
fits() {
    [ -x "$1" ] && "$1" -c "
import sys, sysconfig, ensurepip, venv
sys.exit(sys.version_info < (3, 12) or not ($2))" 2>/dev/null
}

for wish in 'sysconfig.get_config_var("Py_ENABLE_SHARED")' True; do
    found=$(candidates | while read -r python; do
        if fits "$python" "$wish"; then
            echo "$python"
            break
        fi
    done)
    if [ -n "$found" ]; then
        echo "$found"
        exit 0
    fi
done

cat >&2 <<'EOF'
vs-srcomp needs Python 3.12 or newer with its venv module, and there is none.
  Debian 13, Ubuntu 24.04 or newer:  sudo apt install python3 python3-venv libpython3-dev
  older systems, with pyenv:         PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install 3.13
Then run make again, or name the interpreter: make demo PYTHON=/path/to/python3.13
EOF
exit 1
