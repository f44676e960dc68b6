# What is tested, and how: make test, bench, fuzz, lint, demo, install.

.PHONY: deps test check-build bench fuzz lint format demo install tidy

deps:
	@tests/deps.sh build test lint

# Unit tests run under ASan and UBSan, the labs with the program as shipped.
LABS := $(sort $(filter-out tests/labs/tap.sh,$(wildcard tests/labs/*.sh)))
# Those that mostly wait for the timers of protocols, the long ones first.
WAITING := $(filter $(LABS),$(patsubst %,tests/labs/%.sh,snapshot stp \
	   nat-course nat-peers cable macnat topologies groups wan \
	   nat-examine ip6 bridge-loop nat-series dhcp sockets disk-history \
	   lacp disk-guest bridge dns explain bin nat64 natpmp ports-qemu \
	   slirp nbd idle nat-sip linux-guest wifi tiny6 dhcp-relay extcap \
	   lldp ports nat-ftp vlan-peers))

test:
	@tests/deps.sh build test
	$(MAKE) -j$$(nproc) WERROR=1 $(BUILD)/lanyard
	$(MAKE) -j$$(nproc) WERROR=1 SANITIZE=1 OPT=-O1 BUILD=$(BUILD)/asan \
	    tests $(BUILD)/asan/lanyard
	@# Labs that run beside each other need it; linux-guest.sh says why not.
	@$(MAKE) -s guest >/dev/null 2>&1 || :
	@BUILD=$(BUILD) tests/run $(patsubst %.c,$(BUILD)/asan/%,$(TESTS)) \
	    $(addprefix ./,$(filter-out $(WAITING),$(LABS))) \
	    --beside $(addprefix ./,$(WAITING))

# ---- a guest of theirs ----

include tests/vmm/multiboot/multiboot.mk
include tests/bench/bridge/bridge.mk
include tests/bench/cable/cable.mk
include tests/bench/capture/capture.mk
include tests/bench/switch/switch.mk
include tests/bench/emulate/emulate.mk
include tests/bench/nat/nat.mk
include tests/labs/hostile/hostile.mk

# ---- what RFCs ask of a NAT, and the tests that say so ----

.PHONY: nat-requirements
nat-requirements: $(patsubst %.c,$(BUILD)/%,$(wildcard \
    $(addprefix tests/router/,nat*_test.c filter6_test.c pcp*_test.c \
    dns_test.c dad_test.c groups6_test.c join6_test.c nd_test.c ra_test.c) \
    $(addprefix tests/net/,ip64_test.c pcp_test.c natpmp_test.c)))
	@BUILD=$(BUILD) tests/nat-requirements

# ---- benches: tests/bench/FOLDER_bench.c ----

BENCHES := $(patsubst %.c,$(BUILD)/%,$(sort $(wildcard tests/bench/*_bench.c)))

bench: $(BENCHES) $(BUILD)/lanyard $(BENCH_KERNELS) $(BENCH_CABLE) \
    $(BENCH_CAPTURE) $(BENCH_BRIDGE) $(BENCH_NAT) $(BENCH_SWITCH)
	@tests/deps.sh bench
	@for b in $(BENCHES); do echo "== $$b"; ./$$b || exit 1; done
	@echo "== disks beside QEMU"; BUILD=$(BUILD) tests/bench/disk.py
	@$(MAKE) -s guest
	@echo "== engine emulate"; BUILD=$(BUILD) tests/bench/emulate/run
	@echo "== captures"; BUILD=$(BUILD) tests/bench/capture/run
	@echo "== bridges"; BUILD=$(BUILD) tests/bench/bridge/run
	@echo "== ways out"; BUILD=$(BUILD) tests/bench/way-out/run
	@echo "== cables"; BUILD=$(BUILD) tests/bench/cable/run
	@echo "== guests"; BUILD=$(BUILD) tests/bench/guests/run
	@echo "== NAT"; BUILD=$(BUILD) tests/bench/nat/run
	@echo "== the switch"; BUILD=$(BUILD) tests/bench/switch/run

# ---- fuzz targets: tests/fuzz/NAME_fuzz.c, first line "/* libs: net base */"
# names the folders, or single .c files, that it needs, highest first ----

FUZZERS := $(sort $(wildcard tests/fuzz/*_fuzz.c))
FUZZBIN := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(FUZZERS))
FUZZFLAGS := -std=c17 -g -O1 -fsanitize=fuzzer,address,undefined \
	     -fno-sanitize-recover=undefined -pthread

libs_of = $(shell sed -n '1s|^/\* libs: \(.*\) \*/|\1|p' $(1))
files_of = $(foreach f,$(1),$(if $(filter %.c,$(f)),$(f),$(wildcard $(f)/*.c) \
	   $(foreach p,$(PARTS_$(f)),$(wildcard $(p)/*.c $(p)/*.S))))
folders_of = $(sort $(foreach f,$(1),$(firstword $(subst /, ,$(f)))))

define fuzzer
$$(BUILD)/fuzz/$(1): tests/fuzz/$(1).c $$(foreach f,$$(call folders_of,$$(call libs_of,tests/fuzz/$(1).c)),$$(wildcard $$(addsuffix /*.[ch],$$(f) $$(PARTS_$$(f)))))
	@mkdir -p $$(@D)
	$$(CLANG) $$(CPPFLAGS) $$(FUZZFLAGS) -o $$@ $$< \
	    $$(call files_of,$$(call libs_of,tests/fuzz/$(1).c)) \
	    $$(foreach f,$$(call folders_of,$$(call libs_of,tests/fuzz/$(1).c)),$$(NEEDS_$$(f)))
endef
$(foreach z,$(patsubst tests/fuzz/%.c,%,$(FUZZERS)),$(eval $(call fuzzer,$(z))))

.PHONY: fuzzers
fuzzers: $(FUZZBIN)

# Each target runs FUZZ_SECONDS, as many at a time as there are processors.
# Finds are left in $(BUILD)/fuzz; keep them as tests/fuzz/seeds/NAME/CAUSE.
fuzz: fuzzers
	@BUILD=$(BUILD) tests/fuzz/run $(FUZZ_SECONDS) $(FUZZBIN)

# ---- lint ----

# Its macros are loops and types that cppcheck has to know.
QUEUE_H := $(firstword $(wildcard /usr/include/*/sys/queue.h \
	   /usr/include/sys/queue.h))

SOURCES := $(sort $(wildcard $(addsuffix /*.[ch],$(FOLDERS) vmm/* tests/*)))

lint: $(BUILD)/man/lanyard.lab.5
	@tests/deps.sh build lint
	clang-format --dry-run --Werror $(SOURCES)
	@# System headers are not ours.  alu_size.inc is read four times by
	@# alu.c, never by itself.
	cppcheck --quiet --error-exitcode=1 --inline-suppr -I. -j$$(nproc) \
	    --enable=warning,portability --suppress=missingIncludeSystem \
	    $(addprefix --include=,$(QUEUE_H)) \
	    --suppress=preprocessorErrorDirective:vmm/emulate/alu_size.inc \
	    $(addsuffix /,$(FOLDERS))
	@tests/floors
	@for p in $(MANPAGES); do mandoc -T lint -W warning $$p || exit 1; done

format:
	clang-format -i $(SOURCES)

tidy:
	clang-tidy $(filter %.c,$(SOURCES)) -- $(CPPFLAGS) -std=c17

# ---- the demo ----

demo:
	@tests/deps.sh build
	@$(MAKE) -s -j$$(nproc) $(BUILD)/lanyard
	@topologies/demo.sh $(BUILD)/lanyard

# ---- install ----

# The keys of lanyard.lab(5) are printed by the table that reads them.
MANPAGES := $(sort $(wildcard man/*.[1-9]) $(BUILD)/man/lanyard.lab.5)

$(BUILD)/man/lanyard.lab.5: man/lanyard.lab.5.in $(BUILD)/lanyard
	@mkdir -p $(@D)
	$(BUILD)/lanyard schema --manual | sed 's/\.  */.\n/g' >$@.keys
	sed -e '/^@KEYS@$$/{r $@.keys' -e 'd}' $< >$@

all: $(BUILD)/man/lanyard.lab.5

# The verdicts as Wireshark's fields, of the same table too.
$(BUILD)/lanyard.lua: pcap-tools/lanyard.lua.in $(BUILD)/lanyard
	$(Q)$(BUILD)/lanyard reasons --json | sed -n \
	    -e 's/.*"name": \(".*"\),$$/\t{ \1,/p' \
	    -e 's/.*"sentence": \(".*"\),$$/\t    \1 },/p' >$@.verdicts
	$(Q)sed -e '/^@VERDICTS@$$/{r $@.verdicts' -e 'd}' $< >$@

all: $(BUILD)/lanyard.lua

install: $(BUILD)/lanyard $(BUILD)/lanyard.lua $(MANPAGES)
	install -D -m 755 $(BUILD)/lanyard $(DESTDIR)$(PREFIX)/bin/lanyard
	install -D -m 644 $(BUILD)/lanyard.lua \
	    $(DESTDIR)$(PREFIX)/share/lanyard/lanyard.lua
	install -D -m 644 lab/lanyard.bash \
	    $(DESTDIR)$(PREFIX)/share/bash-completion/completions/lanyard
	for p in $(MANPAGES); do \
	    install -D -m 644 $$p \
		$(DESTDIR)$(PREFIX)/share/man/man$${p##*.}/$${p##*/} || exit 1; \
	done
	for t in topologies/*.yaml; do \
	    install -D -m 644 $$t \
		$(DESTDIR)$(PREFIX)/share/doc/lanyard/$$t || exit 1; \
	done
