#!/bin/sh
# One folder with the program and all it needs but glibc: it runs where neither MPI nor HDF5 is installed, and may be moved.
#   sh tools/bundle.sh PROGRAM BACKEND|- FOLDER
# Open MPI comes with its launcher, for ranks on one host or under Slurm, and those of its plugins that need nothing more: no libraries of
# a cluster's network.  NCCL, which is large, comes only with BUNDLE_CUDA=1; the runtime of CUDA is inside the backend.
set -u
program=$1 backend=$2 out=$3
cd "$(dirname "$0")/.." || exit 1
fail() { echo "canids: $*" >&2; exit 1; }
run() { "$@" || fail "$* failed"; }
for tool in ldd ompi_info; do command -v $tool >/dev/null 2>&1 || fail "make bundle needs $tool: it knows Open MPI alone, with its programs on PATH"; done

# What belongs to the C library stays the machine's: a newer one runs what an older one built, never a mixture of two.
glibc='/(linux-vdso|ld-linux[^/]*|lib(c|m|dl|rt|pthread|resolv|util|anl|nsl|BrokenLocale|mvec|thread_db|nss_[a-z]*))\.so'
needs() { ldd "$@" | awk '$2 == "=>" && $3 ~ /^\// {print $3}' | sort -u | grep -Ev "$glibc"; } # paths, a line each
take() { # what these files need
    needs "$@" | while read -r lib; do
        [ -e "$out/lib/${lib##*/}" ] || run cp -L "$lib" "$out/lib/"
    done
}
mpi() { ompi_info --parsable --path "$1" | head -n 1 | cut -d: -f3-; }

ldd "$program" | grep -q 'libmpi\.so.*=> /' || fail "$program is not linked with Open MPI, the only MPI that make bundle knows"
rm -rf "$out"
run mkdir -p "$out/bin" "$out/lib/openmpi" "$out/libexec" "$out/share/canids" "$out/share/man/man1" "$out/etc"
run cp "$program" "$out/libexec/canids"
strip --strip-debug "$out/libexec/canids" 2>/dev/null
bindir=$(mpi bindir) plugins=$(mpi pkglibdir)
for p in mpirun:orterun orted:orted; do
    [ -x "$bindir/${p#*:}" ] || fail "Open MPI has no $bindir/${p#*:}: it is 4.x that make bundle knows"
    run cp -L "$bindir/${p#*:}" "$out/libexec/${p%:*}"
done
take "$program" "$bindir/orterun" "$bindir/orted" "$plugins"/mca_pmix_*.so
for plugin in "$plugins"/mca_*.so; do # by name: later ones may need what earlier ones brought, but nothing is brought here
    all=1
    for lib in $(needs "$plugin"); do [ -e "$out/lib/${lib##*/}" ] || all=0; done
    [ $all = 0 ] || ldd "$plugin" | grep -q 'not found' || run cp -L "$plugin" "$out/lib/openmpi/"
done
run cp -R "$(mpi pkgdatadir)" "$out/share/openmpi"
run cp -RL "$(mpi sysconfdir)" "$out/etc/openmpi"
if [ "$backend" != - ]; then
    run mkdir -p "$out/lib/canids"
    run cp "$backend" "$out/lib/canids/"
    [ "${BUNDLE_CUDA:-0}" != 1 ] || take "$backend"
fi
run cp -R config jobs README.md INSTALL.md LICENSE "$out/share/canids/"
run cp doc/canids.1 "$out/share/man/man1/"

for name in canids mpirun orted; do
    cat > "$out/bin/$name" <<'WRAPPER' || exit 1
#!/bin/sh
# NAME of this folder, wherever it lies.
me=$(readlink -f "$0") && root=${me%/bin/*} || exit 1
case ":${LD_LIBRARY_PATH:-}:" in
*":$root/lib:"*) ;;
*) export LD_LIBRARY_PATH="$root/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" ;;
esac
export OPAL_PREFIX="$root" OPAL_BINDIR="$root/bin" OPAL_LIBDIR="$root/lib" OPAL_PKGLIBDIR="$root/lib/openmpi" \
    OPAL_PKGDATADIR="$root/share/openmpi" OPAL_SYSCONFDIR="$root/etc/openmpi" PMIX_INSTALL_PREFIX="$root"
exec "$root/libexec/NAME" "$@"
WRAPPER
    run sed -i "s/NAME/$name/g" "$out/bin/$name"
    run chmod 755 "$out/bin/$name"
done
du -sh "$out"
