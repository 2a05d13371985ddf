# canids: GNU make, no configure step.
#   make          library and program               make check    everything that is tested, twice: plain and under sanitizers
#   make demo     simulate, run on 2 ranks, print   make bench    figures beside their yardsticks
#   make bundle   one folder that runs where neither MPI nor HDF5 is (BUNDLE_CUDA=1: with NCCL)
#   make info     what was found, and why not       make soak     kills, full disks and long runs
#   make install  PREFIX=/usr/local DESTDIR=        make dist     a source archive of the commit
#   make check-gpu, bench-gpu   the tests of kernels, and figures beside PyTorch Geometric, on this machine's device
#   make oracle   recompute tests/oracle with the programs they came from
#   make fuzz     the fuzz targets of tests/fuzz, by clang, in BUILD-fuzz
# Variables: BUILD CC CFLAGS CPPFLAGS LDFLAGS PREFIX DESTDIR SAN=address,undefined WERROR=1 V=1, and for GPUs CUDA=auto|0|1 NVCC CUDA_ARCH NCCL=auto|0|1
# NCCL_HOME NVCCFLAGS; lasting ones go into config.mk.
-include config.mk

BUILD   ?= build
PREFIX  ?= /usr/local
ifeq ($(origin CC),default)
CC      := cc
endif
CFLAGS  ?= $(if $(SAN),-O1 -g1,-O2 -g)
CUDA    ?= auto
NCCL    ?= auto
V       ?= 0
WERROR  ?= 0
JOBS    ?= 2
PYTHON  ?= /usr/bin/python3
Q       := $(if $(filter 0,$(V)),@)
B       := $(BUILD)$(if $(findstring fuzzer,$(SAN)),-fuzz,$(if $(SAN),-san))
FUZZ_CC ?= clang
version := $(shell cat VERSION)
all:

ifneq ($(filter-out auto 0 1,$(CUDA)),)
$(error CUDA is auto, 0 or 1, not '$(CUDA)')
endif
ifneq ($(filter-out auto 0 1,$(NCCL)),)
$(error NCCL is auto, 0 or 1, not '$(NCCL)')
endif

# ---- sources: a folder of src/ is one part of the program, main.c its only entry
srcs    := $(sort $(wildcard src/*/*.c src/ops/*/*.c))
srcs.isa := $(filter %_isa.c,$(srcs))
srcs.ref := $(filter src/ops/ref/%,$(srcs))
srcs.one := $(filter-out src/cmd/main.c $(srcs.isa) $(srcs.ref),$(srcs))
tests.c := $(sort $(wildcard tests/*/test_*.c))
# Sources of the device backend; tests compile them for the host, under an emulation of blocks and threads.
cu      := $(sort $(wildcard src/*/cuda/*.cu))
emu.cc  := $(sort $(wildcard tests/emu/*.cc))
emu     := $(if $(emu.cc),$(B)/tests/emu/libcanids_cuda.so)
tests   := $(patsubst %.c,$(B)/%,$(tests.c))
bench.c := $(sort $(wildcard tools/bench_*.c))
bench   := $(patsubst %.c,$(B)/%,$(bench.c))
# What strangers' files meet; libFuzzer brings main, and clang its runtime (Debian libclang-rt-14-dev).
fuzz.c  := $(sort $(wildcard tests/fuzz/fuzz_*.c))
fuzzers := $(patsubst %.c,$(B)/%,$(fuzz.c))
fuzz.in := base conf device comm graph csv table vocab stream
bench.with := $(patsubst %.c,$(B)/%.o,$(filter-out $(bench.c),$(wildcard tools/*.c)))
helper   = $(patsubst %.c,$(B)/%.o,$(filter-out $(dir $1)test_%,$(wildcard $(dir $1)*.c)))

# Under sanitizers there is no backend: they know nothing of a device, and the emulated one is tested.
find.sh  = CC='$(CC)' CPPFLAGS='$(CPPFLAGS)' CUDA='$(if $(SAN),0,$(CUDA))' NVCC='$(NVCC)' CUDA_ARCH='$(CUDA_ARCH)' NCCL='$(NCCL)' NCCL_HOME='$(NCCL_HOME)' \
           sh tools/find.sh

# ---- goals that compile look for the libraries first; the others work on a bare machine
goals   := $(or $(MAKECMDGOALS),all)
ifneq ($(filter-out demo check setup info clean dist bench soak oracle fuzz check-gpu bench-gpu,$(goals)),)
# write the shell words $2, a line each, to file $1 when it says something else: what depends on it is rebuilt when flags change
quote    = '$(subst ','\'',$(strip $1))'
stamp    = $(shell mkdir -p $(dir $1); printf '%s\n' $2 | cmp -s - $1 || printf '%s\n' $2 > $1)
$(call stamp,$(B)/found.key,$(call quote,$(CC) $(CPPFLAGS) $(PKG_CONFIG) $(PKG_CONFIG_PATH) $(PKG_CONFIG_LIBDIR) $(PATH)) \
  $(call quote,$(CUDA) $(NVCC) $(CUDA_HOME) $(CUDA_ARCH) $(NCCL) $(NCCL_HOME)))
include $(B)/found.mk

warn    := -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes -Wmissing-prototypes -Wvla \
           $(if $(filter 1,$(WERROR)),-Werror)
san     := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer)
always  := -std=gnu11 -ffp-contract=off -fno-math-errno -pthread
ext     := hdf5 mpi yaml jansson xxhash crypto random123 z lzma zstd
inc     := $(foreach l,$(ext),$($(l).inc))
flags    = $(always) $(warn) $(CFLAGS) $(san) -Iinclude $(CPPFLAGS) $(inc)
libs    := $(foreach l,$(ext),$($(l).lib)) -lm -ldl
target  := $(shell $(CC) -dumpmachine 2>/dev/null)
isas    := $(if $(filter x86_64-%,$(target)),avx512 avx2 generic,generic)
# Unrolled kernels full of checks take a compiler minutes at -O3.
isa.O       := $(if $(SAN),-O1,-O3)
isa.avx512  := $(isa.O) -mavx512f -mavx512dq -mavx512bw -mavx512vl -mavx2 -mfma -mbmi -mbmi2 -mprefer-vector-width=512
isa.avx2    := $(isa.O) -mavx2 -mfma -mbmi -mbmi2
isa.generic := $(isa.O)
commit  := $(shell git rev-parse --short=12 HEAD 2>/dev/null || cat COMMIT 2>/dev/null || echo unknown)$(shell \
           test -d .git && ! git diff --quiet HEAD -- 2>/dev/null && echo -dirty)
define_   = $(call quote,$(hash)define $1 "$(subst ",\",$(subst \,\\,$(strip $2)))")
hash    := \#
$(call stamp,$(B)/flags,$(call quote,$(flags) $(LDFLAGS) $(libs)))
$(call stamp,$(B)/prefix,$(call quote,$(PREFIX)))
backend  := $(if $(cuda.nvcc),$(B)/libcanids_cuda.so)
cuda.obj := $(patsubst %.cu,$(B)/cuda/%.o,$(filter-out $(if $(nccl.found),,src/comm/cuda/ring.cu),$(cu)))
cuda.cc   = $(cuda.nvcc) -std=c++20 -O3 -fmad=false -Iinclude $(cuda.gencode) -Xcompiler -fPIC,-fvisibility=hidden,-Wall,-Wno-unknown-pragmas $(nccl.inc) $(NVCCFLAGS)
$(call stamp,$(B)/flags.cuda,$(call quote,$(cuda.cc) $(nccl.lib)) $(call quote,$(cuda.state)) $(call quote,$(cuda.obj)))
$(call stamp,$(B)/version.h,$(call define_,CI_VERSION,$(version)) $(call define_,CI_COMMIT,$(commit)) \
  $(call define_,CI_CFLAGS,$(CC) $(always) $(CFLAGS) $(san)) $(call define_,CI_DATADIR,$(PREFIX)/share/canids) \
  $(call define_,CI_CUDA,$(cuda.state)))
endif

obj.one := $(patsubst %.c,$(B)/%.o,$(srcs.one))
obj.isa := $(foreach i,$(isas),$(patsubst %.c,$(B)/%.$(i).o,$(srcs.isa)))
obj.ref := $(foreach r,f32 f64,$(patsubst %.c,$(B)/%.$(r).o,$(srcs.ref)))
objs    := $(obj.one) $(obj.isa) $(obj.ref)
cc       = @mkdir -p $(@D); $(if $(filter 0,$(V)),echo "  CC    $@";) $(if $(filter 0,$(V)),,set -x;) $(CC) $(flags)

.PHONY: all lib tests benches demo check check-gpu setup bench bench-gpu soak oracle fuzz fuzzers install bundle dist info clean
.DELETE_ON_ERROR:
.SECONDARY:
all: lib $(if $(wildcard src/cmd/main.c),$(B)/canids) $(backend)
lib: $(B)/libcanids.a
tests: $(tests) $(emu) $(if $(emu),$(B)/tests/emu/cases) $(if $(SAN),,$(B)/tools/bench_gpu)
benches: $(bench)
fuzzers: $(fuzzers)

$(B)/found.mk: tools/find.sh $(B)/found.key
	@mkdir -p $(@D)
	@$(find.sh) > $@

# The archive is made anew: a source file that went away must not live on in it.
$(B)/libcanids.a: $(objs)
	@mkdir -p $(@D); $(if $(filter 0,$(V)),echo "  AR    $@";) rm -f $@; $(AR) rcs $@ $(objs)
$(B)/canids: $(B)/src/cmd/main.o $(B)/libcanids.a
	@echo "  LD    $@"
	$(Q)$(CC) $(CFLAGS) $(san) -pthread $(LDFLAGS) -o $@ $^ $(libs)

$(B)/src/cmd/%.o: src/cmd/%.c $(B)/flags $(B)/version.h
	$(cc) -I$(B) -MMD -MP -c -o $@ $<
$(B)/src/conf/folder.o: $(B)/prefix
# Program and backend know each other by what these headers say.
contract     := $(addprefix include/ci/,device.h ring.h kernels.h ops.h types.h)
contract.key  = $(firstword $(shell cat $(contract) | cksum))
extra.device/device = -DCI_BACKEND_KEY=$(contract.key)u
$(B)/src/device/device.o $(B)/cuda/src/train/cuda/backend.o $(B)/emu/src/train/cuda/backend.o: $(contract)
$(B)/emu/src/train/cuda/backend.o: extra.emu = -DCI_BACKEND_KEY=$(contract.key)u
extra.conf/folder = -DCI_PREFIX='"$(PREFIX)"'
extra.ops/cpu/gemm_bf16 = $(isa.O)
$(B)/src/%_isa.avx512.o: src/%_isa.c $(B)/flags
	$(cc) $(isa.avx512) -DCI_ISA=avx512 -MMD -MP -c -o $@ $<
$(B)/src/%_isa.avx2.o: src/%_isa.c $(B)/flags
	$(cc) $(isa.avx2) -DCI_ISA=avx2 -MMD -MP -c -o $@ $<
$(B)/src/%_isa.generic.o: src/%_isa.c $(B)/flags
	$(cc) $(isa.generic) -DCI_ISA=generic -MMD -MP -c -o $@ $<
$(B)/src/ops/ref/%.f32.o: src/ops/ref/%.c $(B)/flags
	$(cc) -DCI_REAL=float -MMD -MP -c -o $@ $<
$(B)/src/ops/ref/%.f64.o: src/ops/ref/%.c $(B)/flags
	$(cc) -DCI_REAL=double -MMD -MP -c -o $@ $<
$(B)/src/%.o: src/%.c $(B)/flags
	$(cc) $(extra.$*) -MMD -MP -c -o $@ $<
$(B)/tests/%.o: tests/%.c $(B)/flags
	$(if $(cmocka.lib),,$(error cmocka was not found, the tests need it: install Debian libcmocka-dev, Fedora libcmocka-devel, Spack cmocka))
	$(cc) -Itests -Isrc $(cmocka.inc) -MMD -MP -c -o $@ $<
$(B)/tools/%.o: tools/%.c $(B)/flags
	$(cc) -MMD -MP -c -o $@ $<

# A test is test_x.c, the other .c files of its folder and the library.
.SECONDEXPANSION:
$(tests): $(B)/tests/%: $(B)/tests/%.o $$(call helper,tests/%.c) $(B)/libcanids.a
	@echo "  LD    $@"
	$(Q)$(CC) $(CFLAGS) $(san) -pthread $(LDFLAGS) -o $@ $^ $(cmocka.lib) $(libs)
$(bench): $(B)/tools/%: $(B)/tools/%.o $(bench.with) $(B)/libcanids.a
	@echo "  LD    $@"
	$(Q)$(CC) $(CFLAGS) $(san) -pthread $(LDFLAGS) -o $@ $^ $(libs)

$(B)/tests/fuzz/%.o: tests/fuzz/%.c $(B)/flags
	$(cc) -Itests -Isrc -MMD -MP -c -o $@ $<
$(fuzzers): $(B)/tests/fuzz/%: $(B)/tests/fuzz/%.o $(foreach f,$(fuzz.in),$(filter $(B)/src/$f/%,$(objs)))
	@echo "  LD    $@"
	$(Q)$(CC) $(CFLAGS) $(subst fuzzer-no-link,fuzzer,$(san)) -pthread $(LDFLAGS) -o $@ $^ $(libs)

# The backend: one symbol, all of its own inside but NCCL, which is what the machine has.
$(B)/cuda/src/train/cuda/backend.o: extra.nvcc = -DCI_CUDA_ARCH='"$(cuda.arch)"' -DCI_BACKEND_KEY=$(contract.key)u
$(B)/cuda/%.o: %.cu $(B)/flags.cuda
	@mkdir -p $(@D); $(if $(filter 0,$(V)),echo "  NVCC  $@";) $(if $(filter 0,$(V)),,set -x;) $(cuda.cc) $(extra.nvcc) -MMD -MP -MF $(@:.o=.d) -c -o $@ $<
$(B)/libcanids_cuda.so: $(cuda.obj) $(B)/flags.cuda
	@echo "  LD    $@"
	$(Q)$(cuda.nvcc) -shared -cudart static -nodlink -Xcompiler -static-libstdc++,-static-libgcc -Xlinker --exclude-libs,ALL,-z,defs $(NVCCFLAGS) -o $@ \
	  $(cuda.obj) $(nccl.lib)

# The backend as tests have it: the same sources for the host, under tests/emu.
emu.obj  = $(patsubst %.cu,$(B)/emu/%.o,$(cu)) $(patsubst %.cc,$(B)/emu/%.o,$(emu.cc))
# Kernels are long once they are inlined: what AddressSanitizer sees anyway is not checked twice, and its checks are called (gatv2.cu: 5 s, not 19).
emu.san  = -O1 -fno-sanitize=null,object-size,pointer-overflow,vptr $(if $(findstring clang,$(CXX)),,--param asan-instrumentation-with-call-threshold=0)
# fmaf is one instruction where this processor has it; the bits are the same.
emu.fma := $(if $(filter x86_64-%,$(target)),$(shell grep -qw fma /proc/cpuinfo 2>/dev/null && echo -mfma))
emu.cxx  = @mkdir -p $(@D); $(if $(filter 0,$(V)),echo "  CXX   $@";) $(if $(filter 0,$(V)),,set -x;) $(CXX) -std=gnu++20 -ffp-contract=off -fno-math-errno -pthread \
           -fPIC -fvisibility=hidden -Wall -Wno-unknown-pragmas $(if $(filter 1,$(WERROR)),-Werror) $(CFLAGS) $(emu.fma) $(san) $(if $(SAN),$(emu.san)) -DCI_EMULATED -DOMPI_SKIP_MPICXX -Itests/emu -Iinclude $(CPPFLAGS) $(mpi.inc)
$(B)/emu/%.o: %.cu $(B)/flags
	$(emu.cxx) $(extra.emu) -MMD -MP -x c++ -c -o $@ $<
$(B)/emu/%.o: %.cc $(B)/flags
	$(emu.cxx) -MMD -MP -c -o $@ $<
$(B)/tests/emu/libcanids_cuda.so: $(emu.obj)
	@mkdir -p $(@D); echo "  LD    $@"
	$(Q)$(CXX) -shared $(CFLAGS) $(san) -pthread $(LDFLAGS) -o $@ $^ $(mpi.lib)

# Small kernels and calls for the emulation itself; tests/emu/test_emu.py runs them.
emu.case = $(patsubst %.cc,$(B)/emu/%.o,$(wildcard tests/emu/cases/*.cc) $(emu.cc))
$(B)/tests/emu/cases: $(emu.case)
	@mkdir -p $(@D); echo "  LD    $@"
	$(Q)$(CXX) $(CFLAGS) $(san) -pthread $(LDFLAGS) -o $@ $^ $(mpi.lib)

-include $(patsubst %.o,%.d,$(objs) $(emu.obj) $(emu.case) $(cuda.obj) $(B)/src/cmd/main.o $(addsuffix .o,$(tests) $(bench) $(fuzzers)))

# ---- goals for people
info:
	@echo "canids $(version), sources $(words $(srcs)), tests $(words $(tests.c)); build folder $(B), prefix $(PREFIX)"
	@echo "compiler   $(CC): $$($(CC) --version 2>/dev/null | head -n 1)"
	@echo "flags      $(CFLAGS)$(if $(SAN), -fsanitize=$(SAN))"
	@$(find.sh) --info
setup:
	@sh tools/setup.sh
demo: setup
	+@$(MAKE) --no-print-directory -j$(JOBS) all
	@CANIDS_BUILD=$(B) sh tools/demo.sh
# Warnings are errors in the plain build alone: under sanitizers gcc warns of ranges that it no longer sees.  A test that does not
# build is counted as failed by the runner.
check: setup
	+@$(MAKE) --no-print-directory -j$(JOBS) WERROR=1 all
	+@$(MAKE) --no-print-directory -j$(JOBS) -k WERROR=1 tests || true
	+@$(MAKE) --no-print-directory -j$(JOBS) SAN=address,undefined all
	+@$(MAKE) --no-print-directory -j$(JOBS) -k SAN=address,undefined tests || true
	+@if sh tests/fuzz/able.sh $(FUZZ_CC); then $(MAKE) --no-print-directory -k WERROR=1 fuzz || true; fi
	@$(PYTHON) tests/run.py --build $(BUILD) --both --no-build
bench: setup
	+@$(MAKE) --no-print-directory -j$(JOBS) all benches
	@CANIDS_BUILD=$(B) sh tools/bench.sh
# Without a device it ends with 78, and the reason in one line.
bench-gpu: setup
	+@$(MAKE) --no-print-directory -j$(JOBS) CUDA=1 all benches
	@CANIDS_BUILD=$(B) sh tools/bench_gpu.sh
soak: setup
	+@$(MAKE) --no-print-directory -j$(JOBS) all tests
	+@if sh tests/fuzz/able.sh $(FUZZ_CC); then $(MAKE) --no-print-directory -k fuzz || true; fi
	@$(PYTHON) tests/run.py --build $(B) --soak --no-build
# Kernels on a device; compute-sanitizer, where the toolkit has it, looks at each memory access and barrier.
check-gpu: setup
	+@$(MAKE) --no-print-directory -j$(JOBS) CUDA=1 all tests
	@$(PYTHON) tests/run.py --build $(B) --device --no-build
	@if command -v compute-sanitizer >/dev/null; then for tool in memcheck racecheck synccheck; do \
	  $(PYTHON) tests/run.py --build $(B) --device --no-build --under "compute-sanitizer --tool $$tool --error-exitcode 9" || exit 1; done; \
	else echo "no compute-sanitizer in PATH: not run"; fi
fuzz:
	+@$(MAKE) --no-print-directory -j$(JOBS) CC=$(FUZZ_CC) CFLAGS='-O1 -g' SAN=fuzzer-no-link,address,undefined fuzzers
# tests/oracle holds what other programs computed; this makes it again and compares (needs those programs, see the scripts)
oracle:
	@sh tests/oracle/check.sh
install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/canids
	install -m 755 $(B)/canids $(DESTDIR)$(PREFIX)/bin/canids
	$(if $(backend),install -d $(DESTDIR)$(PREFIX)/lib/canids && install -m 755 $(backend) $(DESTDIR)$(PREFIX)/lib/canids/)
	install -m 644 doc/canids.1 $(DESTDIR)$(PREFIX)/share/man/man1/canids.1
	cp -R config jobs $(DESTDIR)$(PREFIX)/share/canids/
	install -m 644 README.md INSTALL.md LICENSE $(DESTDIR)$(PREFIX)/share/canids/
bundle: all
	@sh tools/bundle.sh $(B)/canids $(or $(backend),-) $(B)/canids-$(version)-bundle
dist:
	@mkdir -p $(B)/dist/canids-$(version)
	@git rev-parse --short=12 HEAD > $(B)/dist/canids-$(version)/COMMIT
	@git archive --prefix=canids-$(version)/ -o $(B)/dist/tree.tar HEAD
	@tar -C $(B)/dist --owner=0 --group=0 -rf $(B)/dist/tree.tar canids-$(version)/COMMIT
	@gzip -9n < $(B)/dist/tree.tar > $(B)/canids-$(version).tar.gz
	@rm -rf $(B)/dist; echo $(B)/canids-$(version).tar.gz
clean:
	rm -rf $(BUILD) $(BUILD)-san $(BUILD)-fuzz
