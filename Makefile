# SPDX-License-Identifier: GPL-2.0
#
# What people type. The work is done by scripts: tools/setup gets and builds
# things, tools/qemu boots kernels and judges what happens in them. Kbuild, next
# to this file, is what the kernel's own build reads.

KERNEL  ?= 6.12
KDIR    ?= /lib/modules/$(shell uname -r)/build
O       ?= build
MINUTES ?= 10
PREFIX  ?= /usr/local

override O := $(abspath $(O))

# The scripts' side of the variables; see tools/setup/lib.sh.
export MOHEAP_OUT := $(O)
export MOHEAP_CACHE V SEED TESTS FILTER METRICS ROUNDS ICOUNT

# /lib/modules/6.12.0/build is the build for 6.12.0.
kname = $(notdir $(patsubst %/build,%,$(KDIR)))

all: modules userlib

help:
	@echo 'In a guest (nothing is loaded into this machine; root where packages are missing):'
	@echo '  run              the demo, on a real graph of objects'
	@echo '  shell            a shell, with the module loaded'
	@echo '  test             all tests: static checks, KUnit under sanitizers, programs'
	@echo '  test-kcsan       the tests on a kernel that looks for data races'
	@echo '  test-all         test, test-kcsan, storms of millions of deaths, and a soak'
	@echo '  soak             the random tests again and again, with new seeds'
	@echo '  check            the static checks alone'
	@echo '  model            spin looks at all states of a model of the collector'
	@echo '  bench            measurements beside other ways to do it; bench-plot draws them'
	@echo
	@echo 'On this machine:'
	@echo '  modules          moheap.ko for the kernel of KDIR'
	@echo '  modules_install  ... below INSTALL_MOD_PATH'
	@echo '  userlib          libmoheap, its tests and examples'
	@echo '  install          libmoheap and its manual pages, below DESTDIR and PREFIX'
	@echo '  clean            remove what was built from this tree'
	@echo
	@echo 'Variables:'
	@echo '  KERNEL=6.12      kernel of run and shell: 6.12, 6.1, kunit or kcsan'
	@echo '  KDIR=DIR         build directory of a kernel (default: of the running one)'
	@echo '  O=DIR            where to build (default: build)'
	@echo '  TESTS=LIST       suites to run: check tools kunit sanitizer 6.12 6.1, or patterns'
	@echo '  FILTER=GLOB      KUnit suites and test programs to run, by name'
	@echo '  SEED=N           seed of the random tests'
	@echo '  MINUTES=N        how long to soak (default: 10)'
	@echo '  METRICS=LIST     what bench measures: names of tools/bench/metrics, or patterns'
	@echo '  ROUNDS=N         how often (default: 3)'
	@echo '  ICOUNT=1         bench counts instructions instead'
	@echo '  V=1              show the output of every step'
	@echo '  MOHEAP_CACHE=DIR kernels and other packages (default: ~/.cache/moheap);'
	@echo '                   may be removed at any time'

run:
	@tools/qemu/demo $(KERNEL)

shell:
	@tools/qemu/shell $(KERNEL)

test:
	@tools/qemu/test tools check kunit sanitizer 6.12 6.1

test-kcsan:
	@tools/qemu/test kcsan

test-all:
	@tools/qemu/test tools check kunit sanitizer 6.12 6.1 kcsan
	@FILTER=test_storm MOHEAP_LARGE=4000000 tools/qemu/test 6.12
	@FILTER=test_finalization MOHEAP_SCALE=1000 tools/qemu/test 6.12
	@$(MAKE) --no-print-directory soak

soak:
	@SOAK_MINUTES=$(MINUTES) FILTER='$(or $(FILTER),*oracle*)' tools/qemu/test kunit sanitizer

bench:
	@tools/bench/run

bench-plot:
	@tools/bench/plot

model:
	@tools/model/check

check:
	@tools/qemu/test tools check

modules:
	@tools/setup/modules $(kname) $(KDIR) >/dev/null
	@echo $(O)/modules/$(kname)/moheap.ko

modules_install: modules
	@tools/setup/modules $(kname) $(KDIR) modules_install >/dev/null

userlib:
	@tools/setup/programs userlib

install:
	$(MAKE) -C userlib O=$(O) PREFIX=$(PREFIX) DESTDIR=$(DESTDIR) install

clean:
	rm -rf $(O)

.PHONY: all help run shell test test-kcsan test-all soak check bench bench-plot model
.PHONY: modules modules_install userlib install clean
