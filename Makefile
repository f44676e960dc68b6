# lanyard: a network-first virtual LAN simulator with attached virtual machines.
#
#   make            the program, build/lanyard
#   make guest      kernel and initrd of the guests tiny and linux
#   make demo       installs what is missing, runs topologies/nat.yaml
#   make test       installs what is missing, runs all tests
#   make lint fuzz bench install
#
# Folders are libraries; a folder's tests link it and the floors below it.
# BUILD= puts everything elsewhere, SANITIZE=1 builds with ASan and UBSan.

BUILD   ?= build
PREFIX  ?= /usr/local
DESTDIR ?=
CC      ?= gcc
ifeq ($(origin CC),default)
CC      := gcc
endif
CLANG   ?= clang
OPT     ?= -O2
FUZZ_SECONDS ?= 60

WARN     = -Wall -Wextra -Wvla -Wshadow -Wstrict-prototypes \
	   -Wmissing-prototypes -Wpointer-arith -Wwrite-strings
ifdef WERROR
WARN    += -Werror
endif
CPPFLAGS += -I. -D_GNU_SOURCE -isystem /usr/include/libnl3
CFLAGS   += -std=c17 -g $(OPT) $(WARN) -fno-strict-aliasing -pthread
LDFLAGS  += -pthread
ifdef SANITIZE
CFLAGS   += -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	    -fno-omit-frame-pointer
LDFLAGS  += -fsanitize=address,undefined
endif

FOLDERS := base net switch router bridge disk vmm pcap-tools lab

# Folders within them, whose sources belong to the same library.
PARTS_vmm := vmm/chips vmm/emulate

# What each folder stands on, lowest last, and the libraries of each.
UNDER_base       :=
UNDER_net        :=
UNDER_switch     := net base
UNDER_disk       := base
UNDER_router     := switch net base
UNDER_bridge     := switch net base
UNDER_vmm        := disk net base
UNDER_pcap-tools := switch net base
UNDER_lab        := router bridge vmm pcap-tools switch disk net base
NEEDS_base       := -levent_core
NEEDS_switch     := -lmd -lm
NEEDS_bridge     := -lnl-route-3 -lnl-genl-3 -lnl-3 -lcap-ng -lpcap -lz -lslirp
NEEDS_router     := -levent_extra -lpcap
NEEDS_disk       := -lzstd -lz
NEEDS_vmm        := -lseccomp -lext2fs -lcom_err -lZydis -llz4 -llzma -lzstd -lz
NEEDS_pcap-tools := -lpcap -lzstd -lz -lm
NEEDS_lab        := -lyaml -ljansson -lpcap

# Says what is made; V=1 shows how.
ifdef V
Q :=
say = @:
else
Q := @
say = @echo '$(1)$(2:$(BUILD)/%=%)'
endif

sources  = $(sort $(foreach f,$(1) $(PARTS_$(1)),$(wildcard $(f)/*.c $(f)/*.S)))
objects  = $(patsubst %,$(BUILD)/obj/%.o,$(call sources,$(1)))
archives = $(foreach f,$(1) $(UNDER_$(1)),$(if $(call sources,$(f)),$(BUILD)/lib$(f).a))
needs    = $(foreach f,$(1) $(UNDER_$(1)),$(NEEDS_$(f)))

.PHONY: all
all: $(BUILD)/lanyard

$(BUILD)/obj/%.c.o: %.c
	@mkdir -p $(@D)
	$(call say,  CC   ,$<)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/obj/%.S.o: %.S
	@mkdir -p $(@D)
	$(call say,  AS   ,$<)
	$(Q)$(CC) $(CPPFLAGS) -MMD -MP -Wa,-I$(BUILD) -c -o $@ $<

define folder
ifneq ($$(call sources,$(1)),)
$$(BUILD)/lib$(1).a: $$(call objects,$(1))
	@rm -f $$@
	$$(Q)$$(AR) rcs $$@ $$^
endif
endef
$(foreach f,$(FOLDERS),$(eval $(call folder,$(f))))

$(BUILD)/lanyard: $(call archives,lab)
	$(call say,  LINK ,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ -Wl,--start-group $^ -Wl,--end-group \
	    $(call needs,lab)

# ---- the tiny guest: freestanding, embedded by vmm/tiny_image.S ----

-include vmm/guest/guest.mk

# ---- the Linux guest, of Debian packages ----

-include vmm/linux/linux.mk

# ---- tests: tests/FOLDER/NAME_test.c ----

TESTS   := $(sort $(wildcard tests/*/*_test.c))
TESTBIN := $(patsubst %.c,$(BUILD)/%,$(TESTS))

define folder_tests
$$(BUILD)/tests/$(1)/%_test: $$(BUILD)/obj/tests/$(1)/%_test.c.o $$(call archives,$(1))
	@mkdir -p $$(@D)
	$$(call say,  LINK ,$$@)
	$$(Q)$$(CC) $$(CFLAGS) $$(LDFLAGS) -o $$@ $$(filter %.o,$$^) -Wl,--start-group \
	    $$(filter %.a,$$^) -Wl,--end-group $$(call needs,$(1)) -lcmocka
$$(BUILD)/tests/bench/$(1)_bench: $$(BUILD)/obj/tests/bench/$(1)_bench.c.o $$(call archives,$(1))
	@mkdir -p $$(@D)
	$$(call say,  LINK ,$$@)
	$$(Q)$$(CC) $$(CFLAGS) $$(LDFLAGS) -o $$@ $$(filter %.o,$$^) -Wl,--start-group \
	    $$(filter %.a,$$^) -Wl,--end-group $$(call needs,$(1))
endef
$(foreach f,$(FOLDERS),$(eval $(call folder_tests,$(f))))

# What several tests share.
$(BUILD)/tests/switch/port_vhost_test $(BUILD)/tests/switch/vhost_net_test: \
    $(BUILD)/obj/tests/switch/vhost_frontend.c.o
$(BUILD)/tests/disk/crash_test $(BUILD)/tests/disk/image_crash_test \
$(BUILD)/tests/disk/checkpoint_test: $(BUILD)/obj/tests/disk/recorder.c.o
$(BUILD)/tests/disk/crash_test $(BUILD)/tests/disk/image_crash_test: $(BUILD)/obj/tests/disk/crash_rig.c.o
$(BUILD)/tests/disk/foreign_test $(BUILD)/tests/disk/hostile_test \
$(BUILD)/tests/disk/scan_test $(BUILD)/tests/disk/image_crash_test: $(BUILD)/obj/tests/disk/maker.c.o

.SECONDARY:
.PHONY: tests
tests: $(TESTBIN)

-include tests/tests.mk

DEPS := $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
-include $(DEPS)

.PHONY: clean
clean:
	rm -rf $(BUILD)
