#!/bin/sh
# Find what canids is built on and print it as a make fragment.
#   tools/find.sh          libraries of the program; one sentence on stderr and exit 1 for each that is missing
#   tools/find.sh --info   the same as readable lines, never fails
# Reads CC CPPFLAGS PKG_CONFIG PATH CUDA NVCC CUDA_ARCH NCCL NCCL_HOME.  pkg-config comes first, the compiler wrappers second.
set -u
CC=${CC:-cc} CPPFLAGS=${CPPFLAGS:-} PKG_CONFIG=${PKG_CONFIG:-pkg-config}
info=0 bad=0
[ "${1:-}" = --info ] && info=1

has() { command -v "$PKG_CONFIG" >/dev/null 2>&1 && "$PKG_CONFIG" --exists "$1" 2>/dev/null; }
# Headers of others are system headers: our warnings are about our code.
cflags() { "$PKG_CONFIG" --cflags "$1" | sed 's/\(^\| \)-I/\1-isystem /g'; }
libs() { "$PKG_CONFIG" --libs "$1"; }
# shellcheck disable=SC2086
compiles() { printf '%b\n' "$1" | "$CC" $CPPFLAGS $2 -E -x c - >/dev/null 2>&1; }
row() { # variable, what, cflags, libs
    if [ $info = 1 ]; then
        printf '%-10s %s: %s\n' "$1" "$2" "$(echo "$3 $4" | tr -s ' ')"
    else
        printf '%s.found := %s\n%s.inc := %s\n%s.lib := %s\n' "$1" "$2" "$1" "$3" "$1" "$4"
    fi
}
missing() { # variable, sentence
    if [ $info = 1 ]; then printf '%-10s %s\n' "$1" "$2"; else printf 'canids: %s\n' "$2" >&2; fi
    bad=1
}
lines_of() { # words on stdin that match the pattern $1
    tr ' ' '\n' | grep -E -- "$1" | tr '\n' ' '
}

# --- compiler
if ! command -v "$CC" >/dev/null 2>&1; then
    missing cc "no C compiler '$CC': install gcc (Debian gcc, Fedora gcc, Spack gcc) or set CC."
    [ $info = 1 ] || exit 1
fi

# --- MPI, HDF5: the two must be of one kind, so HDF5 decides
h5='' h5_inc='' h5_lib='' mpi='' mpi_inc='' mpi_lib=''
for p in hdf5-openmpi hdf5-mpich hdf5-mpi; do
    if has "$p"; then
        h5="pkg-config $p $("$PKG_CONFIG" --modversion "$p")" h5_inc=$(cflags "$p") h5_lib=$(libs "$p")
        break
    fi
done
case "${p:-} $h5" in
    "hdf5-openmpi p"*) first=ompi-c second='' ;;
    "hdf5-mpich p"*) first=mpich second='' ;;
    *) first=ompi-c second=mpich ;;
esac
for p in $first $second; do
    if has "$p"; then
        mpi="pkg-config $p $("$PKG_CONFIG" --modversion "$p")" mpi_inc=$(cflags "$p") mpi_lib=$(libs "$p")
        break
    fi
done
if [ -z "$h5" ] && command -v h5pcc >/dev/null 2>&1; then
    show=$(h5pcc -show 2>/dev/null)
    h5="h5pcc at $(command -v h5pcc)"
    h5_inc=$(echo "$show" | lines_of '^-(I|D)' | sed 's/-I/-isystem /g')
    h5_lib=$(echo "$show" | lines_of '^(-L|-l|-Wl,)|\.(a|so)$')
fi
if [ -z "$h5" ] && has hdf5; then
    h5="pkg-config hdf5 $("$PKG_CONFIG" --modversion hdf5)" h5_inc=$(cflags hdf5) h5_lib=$(libs hdf5)
fi
if [ -z "$mpi" ] && command -v mpicc >/dev/null 2>&1; then
    mpi="mpicc at $(command -v mpicc)"
    if mpi_inc=$(mpicc --showme:compile 2>/dev/null); then
        mpi_lib=$(mpicc --showme:link)
    else
        mpi_inc=$(mpicc -compile_info | lines_of '^-(I|D)')
        mpi_lib=$(mpicc -link_info | lines_of '^(-L|-l|-Wl,)')
    fi
    mpi_inc=$(echo "$mpi_inc" | sed 's/\(^\| \)-I/\1-isystem /g')
fi
if [ -z "$mpi" ] || ! compiles '#include <mpi.h>' "$mpi_inc"; then
    missing mpi "MPI was not found: install Debian libopenmpi-dev openmpi-bin, Fedora openmpi-devel, Spack openmpi, or load the MPI module."
else
    row mpi "$mpi" "$mpi_inc" "$mpi_lib"
fi
if [ -z "$h5" ] || ! compiles '#include <H5pubconf.h>' "$h5_inc"; then
    missing hdf5 "parallel HDF5 was not found: install Debian libhdf5-openmpi-dev, Fedora hdf5-openmpi-devel, Spack hdf5+mpi, or load the parallel HDF5 module."
elif ! compiles '#include <H5pubconf.h>\n#ifndef H5_HAVE_PARALLEL\n#error serial\n#endif' "$h5_inc"; then
    missing hdf5 "the HDF5 found ($h5) is a serial one, and canids writes one file from all ranks: install Debian libhdf5-openmpi-dev, Fedora hdf5-openmpi-devel, Spack hdf5+mpi."
else
    row hdf5 "$h5" "$h5_inc" "$h5_lib"
fi

# --- the libraries that have one pkg-config name: name, header, what, packages
plain() { # variable, pkg-config name, header, library, sentence
    if has "$2"; then
        row "$1" "pkg-config $2 $("$PKG_CONFIG" --modversion "$2")" "$(cflags "$2")" "$(libs "$2")"
    elif compiles "#include <$3>" ""; then
        row "$1" "header on the default path" "" "$4"
    else
        missing "$1" "$5"
    fi
}
plain yaml yaml-0.1 yaml.h -lyaml "libyaml was not found: install Debian libyaml-dev, Fedora libyaml-devel, Spack libyaml."
plain jansson jansson jansson.h -ljansson "jansson was not found: install Debian libjansson-dev, Fedora jansson-devel, Spack jansson."
plain xxhash libxxhash xxhash.h -lxxhash "xxHash was not found: install Debian libxxhash-dev, Fedora xxhash-devel, Spack xxhash."
plain z zlib zlib.h -lz "zlib was not found: install Debian zlib1g-dev, Fedora zlib-devel, Spack zlib."
plain lzma liblzma lzma.h -llzma "liblzma was not found: install Debian liblzma-dev, Fedora xz-devel, Spack xz."
plain zstd libzstd zstd.h -lzstd "Zstandard was not found: install Debian libzstd-dev, Fedora libzstd-devel, Spack zstd."
plain crypto libcrypto openssl/evp.h -lcrypto "OpenSSL's libcrypto was not found: install Debian libssl-dev, Fedora openssl-devel, Spack openssl."
if compiles '#include <Random123/philox.h>' ""; then
    row random123 "header Random123/philox.h" "" ""
else
    missing random123 "Random123 was not found: install Debian librandom123-dev, Fedora Random123-devel, Spack random123, or put its include folder into CPPFLAGS."
fi
# cmocka is for the tests alone: its absence is said when they are built.
if has cmocka; then
    row cmocka "pkg-config cmocka $("$PKG_CONFIG" --modversion cmocka)" "$(cflags cmocka)" "$(libs cmocka)"
elif [ $info = 1 ]; then
    missing cmocka "cmocka was not found, the tests need it: install Debian libcmocka-dev, Fedora libcmocka-devel, Spack cmocka."
fi

# --- the CUDA backend: nvcc 12 or later, which knows C++20, and NCCL 2.18 or later, which knows how not to block
cuda_state='' cuda_why='' nccl_why='' nvcc='' nccl=''
find_nvcc() { # sets nvcc and what it can do, or cuda_why
    if [ "${CUDA:-auto}" = 0 ]; then cuda_why="left out: CUDA=0"; return; fi
    where="nvcc /usr/local/cuda/bin/nvcc"
    [ -z "${CUDA_HOME:-}" ] || where="$CUDA_HOME/bin/nvcc"
    for p in ${NVCC:-$where}; do
        if nvcc=$(command -v "$p" 2>/dev/null); then break; fi
    done
    if [ -z "$nvcc" ]; then
        cuda_why="nvcc was not found: install the CUDA toolkit 12.0 or later, load the CUDA module, or set NVCC or CUDA_HOME"
        return
    fi
    version=$("$nvcc" --version 2>/dev/null | sed -n 's/.* V\([0-9.]*\).*/\1/p')
    said=$(echo '#include <cuda_runtime.h>' | "$nvcc" -std=c++20 -x cu -E - 2>&1 >/dev/null) || {
        cuda_why="$nvcc (${version:-no version}) compiles nothing, 12.0 or later is needed, and a host compiler that it knows: $(echo "$said" | grep -v '^$' | head -n 1)"
        nvcc=''
        return
    }
    knows=" $({ "$nvcc" --list-gpu-code; "$nvcc" --list-gpu-arch; } | tr '\n' ' ')"
    arch='' gencode=''
    for a in ${CUDA_ARCH:-sm_70 sm_80 sm_90 compute_90}; do
        case "$knows" in *" $a "*) ;; *) continue ;; esac
        arch="$arch${arch:+ }$a" gencode="$gencode -gencode arch=compute_${a#*_},code=$a"
    done
    if [ -z "$arch" ]; then
        cuda_why="$nvcc $version knows none of ${CUDA_ARCH:-sm_70 sm_80 sm_90 compute_90}: set CUDA_ARCH, as in CUDA_ARCH='sm_90 compute_90'"
        nvcc=''
    fi
}
find_nccl() { # sets nccl, its flags, or nccl_why
    nccl_inc='' nccl_lib=''
    if [ "${NCCL:-auto}" = 0 ]; then nccl_why="left out: NCCL=0"; return; fi
    if [ -n "${NCCL_HOME:-}" ]; then
        nccl_inc="-isystem $NCCL_HOME/include" nccl_lib="-L$NCCL_HOME/lib -Xlinker -rpath,$NCCL_HOME/lib "
    fi
    # shellcheck disable=SC2086
    nccl=$(printf '#include <nccl.h>\nversion NCCL_VERSION_CODE NCCL_MAJOR NCCL_MINOR NCCL_PATCH\n' | "$nvcc" $nccl_inc -x cu -E - 2>/dev/null |
           sed -n 's/^version (*\([0-9]*\))* \([0-9]*\) \([0-9]*\) \([0-9]*\)$/\1 \2.\3.\4/p')
    if [ -z "$nccl" ]; then
        nccl_why="nccl.h was not found: install NCCL 2.18 or later (libnccl-dev) or set NCCL_HOME; without it one rank alone can use a GPU"
        return
    fi
    if [ "${nccl%% *}" -lt 21800 ]; then
        nccl_why="NCCL ${nccl#* } is older than 2.18, which canids needs: update it or set NCCL_HOME"
        nccl=''
        return
    fi
    nccl_lib="$nccl_lib-lnccl" nccl=${nccl#* }
    try=$(mktemp -d) || exit 1
    printf '#include <nccl.h>\nint main(void) { int v; return ncclGetVersion(&v); }\n' > "$try/a.cc"
    # shellcheck disable=SC2086
    "$nvcc" $nccl_inc -o "$try/a" "$try/a.cc" $nccl_lib >/dev/null 2>&1 || {
        nccl_why="NCCL $nccl has a header here and no library: install libnccl-dev or set NCCL_HOME"
        nccl=''
    }
    rm -rf "$try"
}
find_nvcc
[ -z "$nvcc" ] || find_nccl
if [ -z "$nvcc" ] && [ "${CUDA:-auto}" = 1 ]; then missing cuda "CUDA=1, but $cuda_why."; fi
if [ -n "$nvcc" ] && [ -z "$nccl" ] && [ "${NCCL:-auto}" = 1 ]; then missing nccl "NCCL=1, but $nccl_why."; fi
if [ $info = 1 ]; then
    [ -z "$nvcc" ] && printf '%-10s %s\n' cuda "none: $cuda_why"
    [ -n "$nvcc" ] && printf '%-10s %s\n' cuda "$nvcc $version: $arch" nccl "${nccl:-none: $nccl_why}"
else
    cuda_state="none: $cuda_why"
    [ -n "$nvcc" ] && cuda_state="CUDA $version: $arch; $([ -n "$nccl" ] && echo "NCCL $nccl" || echo "no NCCL: $nccl_why")"
    printf 'cuda.state := %s\ncuda.nvcc := %s\n' "$cuda_state" "$nvcc"
    [ -n "$nvcc" ] && printf 'cuda.arch := %s\ncuda.gencode := %s\n' "$arch" "$gencode"
    [ -n "$nccl" ] && printf 'nccl.found := %s\nnccl.inc := %s\nnccl.lib := %s\n' "$nccl" "$nccl_inc" "$nccl_lib"
fi
[ $info = 1 ] && exit 0
exit $bad
