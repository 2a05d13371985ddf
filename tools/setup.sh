#!/bin/sh
# Install what canids needs and this machine lacks.  Debian and Ubuntu: by apt, as root or by a sudo that asks nothing; elsewhere the
# packages are printed.  Quick and silent when everything is there.
set -u
cd "$(dirname "$0")/.." || exit 1
build="gcc libc6-dev make git pkg-config libopenmpi-dev openmpi-bin libhdf5-openmpi-dev libyaml-dev libjansson-dev libxxhash-dev libssl-dev librandom123-dev zlib1g-dev liblzma-dev libzstd-dev"
check="g++ libcmocka-dev can-utils gzip xz-utils zstd clang libclang-rt-14-dev python3 python3-numpy python3-h5py-serial hdf5-tools mandoc slurm-wlm slurm-wlm-basic-plugins munge procps"
fedora="gcc make git pkgconf openmpi-devel hdf5-openmpi-devel libyaml-devel jansson-devel xxhash-devel openssl-devel Random123-devel zlib-devel xz-devel libzstd-devel libcmocka-devel python3-numpy python3-h5py"
spack="openmpi hdf5+mpi libyaml jansson xxhash openssl random123 zlib xz zstd cmocka"

enough() { sh tools/find.sh >/dev/null 2>&1; }

if ! command -v apt-get >/dev/null 2>&1 || ! command -v dpkg-query >/dev/null 2>&1; then
    enough && exit 0
    sh tools/find.sh >/dev/null
    printf 'canids: this is not Debian or Ubuntu; install by hand\n  Fedora: dnf install %s\n  Spack:  spack install %s\n' "$fedora" "$spack" >&2
    exit 1
fi

# shellcheck disable=SC2086
have=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $build $check 2>/dev/null | sed -n 's/^installed //p')
lacking=
for p in $build $check; do
    printf '%s\n' "$have" | grep -qx "$p" || lacking="$lacking $p"
done
[ -z "$lacking" ] && exit 0

as_root=
if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
        as_root="sudo -n env DEBIAN_FRONTEND=noninteractive"
    elif enough; then
        exit 0 # what is lacking is for tests alone, and they say what they skip
    else
        echo "canids: as root, run: apt-get install --no-install-recommends$lacking" >&2
        exit 1
    fi
fi
echo "installing:$lacking"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086
{
    $as_root apt-get -qq -o DPkg::Lock::Timeout=300 update </dev/null
    $as_root apt-get -qq -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 install --no-install-recommends $lacking </dev/null >/dev/null
} && exit 0
if enough; then
    echo "canids: the packages above could not be installed; the build needs none of them, tests that do will be skipped" >&2
    exit 0
fi
echo "canids: the packages above could not be installed" >&2
exit 1
