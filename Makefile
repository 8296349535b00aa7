# SPDX-License-Identifier: GPL-2.0
#
# Thin: every part builds itself, this file only calls the parts.
#
#   make modules              iommufd.ko and vfio.ko for KDIR's kernel
#        samples              drivers/samples: a device that needs no hardware
#        tools examples       the vfio-cdev tool, the example drivers
#        clients              what the tests of QEMU and DPDK boot
#        test-host            pure-logic code in userspace, under sanitizers
#        test-packages        tests/packages/host: debian/, DKMS, lintian
#        fuzz                 the same led by coverage, OPERATIONS=50000000; with
#                             TIME=seconds fuzz-vm, too
#        fuzz-vm              random system calls on the debug kernel, TIME=300
#        fuzz-vm-stock        the same on the stock kernel
#        test-vm              every line of tests/vm/ring2 in a virtual machine
#        test-races           tests/vm/races: everything against everything else
#        soak                 users killed and devices replaced for TIME=seconds (300)
#        newer-kernel         tool and examples on 6.12's own iommufd (fetches 270 MB)
#        matrix               the tests on other kernels, IOMMUs, machines: tests/vm/matrix
#        test-debug           tests/vm/ring3: the same on a debug kernel, coverage
#        kcsan                tests/vm/kcsan: the races on a kernel that looks for data races
#        test-variants        builds with parts left out, and what is in them
#        bench                what mapping costs, held against tests/bench/baseline.tsv
#        lint                 see tests/lint/run
#        static               programs that look for bugs in the sources: tests/lint/static
#        docs                 build/docs/uapi.rst, from the headers
#        deb                  the Debian packages, in build/packages (debian/make-packages)
#        install uninstall    modules to updates/, tool to PREFIX/bin, library to
#                             PREFIX/lib
#
# Everything lands in build/, nothing beside the sources:
#
#   build/<release>/            drivers/ and include/ mirrored as links, objects
#   build/<release>/modules/    the two modules, ready to load
#   build/<release>/samples/    the samples; never installed
#   build/<release>-test/       the same with TEST=1 (mock device; never install)
#   build/tools/ build/examples/ build/tests/host/ build/tests/kselftest/
#
# Variables: KDIR (kernel headers), TEST=1, C=1|2 (sparse), PREFIX, DESTDIR,
# INSTALL_REL (install for this kernel; default the running one).
# VFIO_GROUP=n leaves out /dev/vfio/N, IOMMUFD_VFIO_CONTAINER=n /dev/vfio/vfio and the
# ioctls of type1: for make modules and make install, in build/<release>-no-... each.
#
# What the parts can rely on:
#   drivers/*/Kbuild   TOP is the mirror; put $(TOP)/include and
#                      $(TOP)/include/uapi in front of the kernel's own with
#                      NOSTDINC_FLAGS. CONFIG_IOMMUFD_TEST=1 in test builds.
#   drivers/vfio/crc/stamp KDIR vfio.ko
#                      runs on the finished module, if it exists.
#   {tools/vfio-cdev,examples,tests/host,tests/kselftest}/Makefile
#                      get O=<absolute directory>, made beforehand.

MAKEFLAGS += --no-print-directory

running := $(shell uname -r)
# A release like 6.1.0-56-amd64, not the -rt- or -cloud- flavour
newest = $(lastword $(shell ls -d /usr/src/linux-headers-6.1.*-amd64 2>/dev/null | \
	grep -E '/linux-headers-6\.1\.[0-9]+-[0-9]+-amd64$$' | sort -V))
KDIR ?= $(if $(filter 6.1.%,$(running)),$(wildcard /lib/modules/$(running)/build))
ifeq ($(strip $(KDIR)),)
override KDIR := $(newest)
endif
# (Debian's include/config/kernel.release lacks the ABI number)
KREL := $(shell sed -n 's/.*UTS_RELEASE "\(.*\)".*/\1/p' \
	$(KDIR)/include/generated/utsrelease.h 2>/dev/null)

top := $(CURDIR)/build
build = $(top)/$(KREL)$(if $(filter 1,$(TEST)),-test)$(if $(filter n,$(VFIO_GROUP)),-no-group)$(if \
	$(filter n,$(IOMMUFD_VFIO_CONTAINER)),-no-container)
PREFIX ?= /usr/local
CHECK ?= sparse
INSTALL_REL ?= $(running)
updates = $(DESTDIR)/lib/modules/$(INSTALL_REL)/updates

all: modules tools examples

kdir:
	@test -n "$(KREL)" || { \
		echo "no kernel headers in '$(KDIR)': apt-get install linux-headers-amd64, or say KDIR=" >&2; \
		exit 1; }

print-kdir: kdir
	@echo $(KDIR)

print-modules: kdir
	@echo $(build)/modules

# kbuild writes next to what it reads, so it reads through links
mirror: kdir
	@mkdir -p $(build)/modules
	@cp -rsf $(CURDIR)/drivers $(CURDIR)/include $(build)/
	@find $(build)/drivers $(build)/include -xtype l -delete

modules: mirror
	@drivers/vfio/crc/check-interface $(KDIR)
	@flock $(build)/.lock $(MAKE) -C $(KDIR) M=$(build)/drivers TOP=$(build) W=1 $(if $(C),C=$(C)) \
		$(if $(filter 1,$(TEST)),CONFIG_IOMMUFD_TEST=1) modules
	@for ko in iommufd vfio; do \
		cp $(build)/drivers/$$ko/$$ko.ko $(build)/modules/$$ko.ko.new || exit 1; done
	@if [ -x $(build)/drivers/vfio/crc/stamp ]; then \
		$(build)/drivers/vfio/crc/stamp $(KDIR) $(build)/modules/vfio.ko.new; fi
	@for ko in iommufd vfio; do \
		cmp -s $(build)/modules/$$ko.ko.new $(build)/modules/$$ko.ko && \
			rm $(build)/modules/$$ko.ko.new || \
			mv $(build)/modules/$$ko.ko.new $(build)/modules/$$ko.ko || exit 1; done

# On their own, or they would get our symbol versions from before the stamp: they
# are drivers like the distribution's, which go by its Module.symvers.
samples: mirror
	@flock $(build)/.lock $(MAKE) -C $(KDIR) M=$(build)/drivers/samples W=1 modules
	@mkdir -p $(build)/samples
	@cp $(build)/drivers/samples/vcopy/vcopy.ko $(build)/samples/vcopy.ko.new
	@mv $(build)/samples/vcopy.ko.new $(build)/samples/vcopy.ko

# Always a full pass: sparse sees only what gets compiled
sparse: mirror
	@rm -rf $(build)-sparse && mkdir -p $(build)-sparse
	@cp -rsf $(CURDIR)/drivers $(CURDIR)/include $(build)-sparse/
	$(MAKE) -C $(KDIR) M=$(build)-sparse/drivers TOP=$(build)-sparse W=1 C=2 CHECK=$(CHECK) \
		$(if $(filter 1,$(TEST)),CONFIG_IOMMUFD_TEST=1) modules
	$(MAKE) -C $(KDIR) M=$(build)-sparse/drivers/samples W=1 C=2 CHECK=$(CHECK) modules

tools examples: O = $(top)/$@
tools:
	@mkdir -p $(O)
	$(MAKE) -C tools/vfio-cdev O=$(O) all

examples: tools
	@mkdir -p $(O)
	$(MAKE) -C examples O=$(O) all

kselftest: fuzz-programs
	@mkdir -p $(top)/tests/kselftest
	$(MAKE) -C tests/kselftest O=$(top)/tests/kselftest all

clients:
	@mkdir -p $(top)/tests/clients
	$(MAKE) -C tests/clients O=$(top)/tests/clients all

test-host:
	@mkdir -p $(top)/tests/host
	$(MAKE) -C tests/host O=$(top)/tests/host check
	$(if $(wildcard tests/tool/host),$(MAKE) -C tools/vfio-cdev O=$(top)/tools check)

test-packages: kdir
	tests/packages/host

fuzz:
	@mkdir -p $(top)/tests/fuzz
	$(MAKE) -C tests/fuzz O=$(top)/tests/fuzz $(if $(OPERATIONS),OPERATIONS=$(OPERATIONS)) check
	$(if $(TIME),$(MAKE) fuzz-vm)

fuzz-vm: debug-modules fuzz-programs
	$(MAKE) -C tests/fuzz O=$(top)/tests/fuzz vm

fuzz-vm-stock: samples fuzz-programs
	$(MAKE) modules TEST=1
	$(MAKE) -C tests/fuzz O=$(top)/tests/fuzz vm-stock

fuzz-programs:
	@mkdir -p $(top)/tests/fuzz
	$(MAKE) -C tests/fuzz O=$(top)/tests/fuzz $(top)/tests/fuzz/vm_fuzz

test-vm: modules samples tools examples kselftest clients flavour-modules
	$(MAKE) modules TEST=1
	tests/packages/host --if-missing
	tests/vm/ring

test-races: modules kselftest
	$(MAKE) modules TEST=1
	tests/vm/ring --table tests/vm/races

soak-program: tools
	@mkdir -p $(top)/tests/soak
	$(MAKE) -C tests/soak O=$(top)/tests/soak all

newer-kernel: tools examples
	tests/vm/newer-kernel

soak: modules samples soak-program
	tests/vm/ring --table tests/vm/long soak

# Debian's other kernels of 6.1, whose headers are there
flavours = $(foreach f,cloud rt,$(lastword $(shell ls -d /usr/src/linux-headers-6.1.*-$(f)-amd64 \
	2>/dev/null | sort -V)))

flavour-modules:
	@for dir in $(flavours); do $(MAKE) modules KDIR=$$dir || exit 1; done

matrix: kselftest
	tests/vm/matrix --jobs 2 --docs

# The debug kernel is built by the first who needs it, and cached
debug-modules:
	@dir=$$(tests/debug/kernel --kdir) && $(MAKE) modules KDIR=$$dir && \
		$(MAKE) modules KDIR=$$dir TEST=1 && $(MAKE) samples KDIR=$$dir

test-debug: debug-modules tools examples kselftest
	tests/vm/ring --table tests/vm/ring3 --jobs 2
	tests/debug/coverage

# Another kernel, built and cached in the same way. -g, so that a report's addresses
# have lines (tests/debug/lines).
kcsan-modules:
	@dir=$$(tests/debug/kcsan --kdir) && $(MAKE) modules KDIR=$$dir KCFLAGS=-g && \
		$(MAKE) modules KDIR=$$dir TEST=1 KCFLAGS=-g && \
		for ko in iommufd vfio; do nm $(top)/$$(cat $$dir/include/config/kernel.release)/modules/$$ko.ko | \
			grep -q 'U __tsan_' || { echo "$$ko.ko is not instrumented" >&2; exit 1; }; done

kcsan: kcsan-modules kselftest
	tests/vm/ring --table tests/vm/kcsan
	@cat $(top)/logs/kcsan/*/stderr | grep '^# kcsan:'

test-variants: modules
	tests/variants

lint:
	tests/lint/run

static:
	tests/lint/static

deb:
	debian/make-packages

docs:
	@mkdir -p $(top)/docs
	tools/uapi-reference > $(top)/docs/uapi.rst.new
	@mv $(top)/docs/uapi.rst.new $(top)/docs/uapi.rst

bench: modules
	$(MAKE) -C tests/bench O=$(top)/tests/bench bench

# Builds nothing, so that it can be run as root after a build as somebody else.
install: kdir
	@test "$(TEST)" != 1 || { echo "test modules are not for installing" >&2; exit 1; }
	@test "$(KREL)" = "$(INSTALL_REL)" || { \
		echo "modules are for $(KREL) (headers in $(KDIR)), the kernel to install for is $(INSTALL_REL)." >&2; \
		echo "Install linux-headers-$(INSTALL_REL) and build again, or say INSTALL_REL=$(KREL)." >&2; \
		exit 1; }
	@for f in $(build)/modules/iommufd.ko $(build)/modules/vfio.ko $(top)/tools/vfio-cdev; do \
		test -f $$f || { echo "$$f is missing: run make first" >&2; exit 1; }; done
	@for ko in iommufd vfio; do \
		set -- $$(modinfo -F vermagic $(build)/modules/$$ko.ko); \
		test "$$1" = "$(INSTALL_REL)" || { \
			echo "$$ko.ko was built for '$$1', not for $(INSTALL_REL): run make clean modules" >&2; \
			exit 1; }; done
	install -d $(updates)
	install -m 644 $(build)/modules/iommufd.ko $(build)/modules/vfio.ko $(updates)/
	$(MAKE) -C tools/vfio-cdev O=$(top)/tools PREFIX=$(PREFIX) install-built
	$(call depmod)
	@$(if $(DESTDIR),,tools/change-over in)

uninstall:
	@$(if $(DESTDIR),,tools/change-over out)
	rm -f $(updates)/iommufd.ko $(updates)/vfio.ko
	$(MAKE) -C tools/vfio-cdev O=$(top)/tools PREFIX=$(PREFIX) uninstall
	$(call depmod)

# A package's staging directory has no kernel in it and needs no index.
define depmod
@if [ -e $(DESTDIR)/lib/modules/$(INSTALL_REL)/modules.order ]; then \
	echo depmod $(INSTALL_REL); \
	depmod $(if $(DESTDIR),-b $(DESTDIR)) $(INSTALL_REL); fi
endef

clean:
	rm -rf $(top)

.PHONY: all kdir print-kdir print-modules mirror modules sparse tools examples kselftest clients test-host fuzz \
	test-vm debug-modules test-races test-debug lint static deb bench install uninstall clean
.PHONY: newer-kernel kcsan kcsan-modules samples test-variants test-packages docs fuzz-vm fuzz-vm-stock fuzz-programs soak-program soak matrix flavour-modules
