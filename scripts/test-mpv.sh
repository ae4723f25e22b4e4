#!/usr/bin/env bash
# Test the player's side with a real mpv: encoding with a check of frames and pixels, seeks, toggling, bit depths, HDR, VFR.
#
#   scripts/test-mpv.sh [ROOT]
#
# An mpv on the PATH that has the filter is used with the Python in PYTHON (.venv by default). Without one, Debian 13 is
# set up in ROOT (build/mpv by default) and mpv is built there from the source that Debian has, against the VapourSynth wheel;
# it is kept for the next time. That needs root, debootstrap, 3 GB and some minutes.
set -euo pipefail
cd "$(dirname "$0")/.."

tests=(tests/mpv/test_real_mpv.py tests/mpv/test_real_lua.py)
if mpv --vf=help 2>/dev/null | grep -q vapoursynth; then
    python=$(realpath --no-symlinks "${PYTHON:-.venv/bin/python}")
    PATH=$(dirname "$python"):$PATH exec "$python" -m pytest -q "${tests[@]}"
fi

mkdir -p "${1:-build/mpv}"
root=$(realpath "${1:-build/mpv}")

if [ "$(id -u)" != 0 ] || ! command -v debootstrap >/dev/null; then
    echo "there is no mpv with the vapoursynth filter; building one needs root and debootstrap (apt install debootstrap)" >&2
    exit 1
fi

inside() {
    chroot "$root" /usr/bin/env -i HOME=/root PATH=/opt/v/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive ${PIP_CERT:+PIP_CERT=$PIP_CERT} bash -euc "$1"
}

# Each stage is done once: a stage that failed is done again by the next run.
stage() {
    [ -e "$root/root/.done-$1" ] || { echo "== $1"; "$2"; touch "$root/root/.done-$1"; }
}

bootstrap() {
    [ -e "$root/etc/debian_version" ] || debootstrap --variant=minbase trixie "$root" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} >/dev/null
    # debootstrap has written down where the packages come from; mpv's source comes from there too.
    sed -i '/^deb-src/d; p; s/^deb /deb-src /' "$root/etc/apt/sources.list"
}

packages() {
    inside 'apt-get update -qq
        apt-get install -y -qq --no-install-recommends ca-certificates gcc libc6-dev meson ninja-build pkgconf dpkg-dev xz-utils \
            python3 python3-venv libpython3.13 ffmpeg libavcodec-dev libavfilter-dev libavformat-dev libavutil-dev libavdevice-dev \
            libswscale-dev libswresample-dev libplacebo-dev libass-dev libzimg-dev liblua5.2-dev zlib1g-dev >/dev/null
        # Whatever version it is: here, so that a mirror without it fails before the rest is done.
        cd /root; ls -d mpv-*/ >/dev/null 2>&1 || apt-get source -qq mpv >/dev/null; echo "source of mpv: $(ls -d mpv-*/)"'
    cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
}

wheels() {
    inside "[ -d /opt/v ] || python3 -m venv /opt/v
        /opt/v/bin/python -m pip --quiet install $(requirements)"
}

requirements() {
    sed -n '/^dependencies = \[/,/^]/s/^ *"\([^"]*\)",.*/'"'\1'"'/p' pyproject.toml | tr '\n' ' '
}

player() {
    # The wheel has no .pc file for VSScript, which releases of mpv up to 0.41 link to.
    inside 'library=$(dirname "$(vapoursynth get-vsscript)"); mkdir -p /root/pc
        printf "Name: vapoursynth-script\nDescription: scripts\nVersion: 81\nRequires: vapoursynth\nLibs: -L%s -l:libvsscript.so -Wl,-rpath,%s\n" \
            "$library" "$library" >/root/pc/vapoursynth-script.pc
        export PKG_CONFIG_PATH=$(vapoursynth get-pkgconfig-dir):/root/pc
        cd /root/mpv-*/; rm -rf /root/build
        meson setup /root/build --buildtype=release --auto-features=disabled -Dgl=disabled -Dlibmpv=false -Dbuild-date=false \
            -Dvapoursynth=enabled -Dlua=enabled -Dzimg=enabled -Dzlib=enabled -Diconv=enabled >/dev/null
        nice ninja -C /root/build mpv >/dev/null; install -m755 /root/build/mpv /usr/local/bin/mpv; vapoursynth config
        mpv --version | head -n 1'
}

stage bootstrap bootstrap
mkdir -p "$root/proc"
mount -t proc proc "$root/proc"
trap 'umount "$root/proc"' EXIT
# An older run may have got no source.
[ -e "$root/root/.done-player" ] || ls -d "$root"/root/mpv-*/ >/dev/null 2>&1 || rm -f "$root/root/.done-packages"
stage packages packages
stage wheels wheels
stage player player

rm -rf "$root/root/srcomp"
mkdir "$root/root/srcomp"
tar -c --exclude=__pycache__ vs_srcomp engines examples tests pyproject.toml setup.py README.md LICENSE | tar -x -C "$root/root/srcomp"
inside "cd /root/srcomp; python -m pip --quiet install --no-deps --editable .
    python -m pip --quiet install pytest pytest-timeout imageio-ffmpeg onnxruntime; python -m pytest -q ${tests[*]}"
