# The tiny guest: $(BUILD)/guest/tiny.elf, from vmm/guest, vmm/guest/bare and
# net, without a C library and with general registers only.  vmm/guest alone,
# which does not know the machine, is also built for the host: it is
# $(BUILD)/libguest.a, for tests/guest.

GUEST_CC ?= $(CC)
GUEST_OBJCOPY ?= objcopy
GUEST_CFLAGS := -std=c17 -O2 -g $(WARN) -ffreestanding -fno-strict-aliasing \
	-mgeneral-regs-only -mno-red-zone -fno-stack-protector -fno-pic \
	-fno-pie -mcmodel=small -fcf-protection=none -fno-common \
	-fno-asynchronous-unwind-tables -fno-unwind-tables -fomit-frame-pointer \
	-ffunction-sections -fdata-sections -include vmm/guest/bare/freestanding.h

comma := ,
# A REP prefix costs an emulating engine more than a loop.
guest_flag = $(shell $(GUEST_CC) -Werror $(1) -x c -c /dev/null -o /dev/null \
	2>/dev/null && echo $(1))
GUEST_CFLAGS += $(call guest_flag,-mmemcpy-strategy=unrolled_loop:64:noalign$(comma)libcall:-1:noalign)
GUEST_CFLAGS += $(call guest_flag,-mmemset-strategy=unrolled_loop:64:noalign$(comma)libcall:-1:noalign)
GUEST_CFLAGS += $(call guest_flag,-fno-tree-loop-distribute-patterns)

GUEST_SOURCES := $(sort $(wildcard vmm/guest/*.c vmm/guest/bare/*.[cS] net/*.c))
GUEST_OBJECTS := $(patsubst %,$(BUILD)/guest/%.o,$(GUEST_SOURCES))

$(BUILD)/guest/%.c.o: %.c
	@mkdir -p $(@D)
	$(GUEST_CC) -I. $(GUEST_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/guest/%.S.o: %.S
	@mkdir -p $(@D)
	$(GUEST_CC) -I. -g -MMD -MP -c -o $@ $<

# tiny.full has symbols, for a debugger; tiny.elf is what machines carry.
$(BUILD)/guest/tiny.full: $(GUEST_OBJECTS) vmm/guest/bare/tiny.ld
	$(GUEST_CC) -nostdlib -static -Wl,--build-id=none \
	    -Wl,--gc-sections -Wl,-z,noexecstack -Wl,-z,max-page-size=4096 \
	    -Wl,-T,vmm/guest/bare/tiny.ld -o $@ $(GUEST_OBJECTS)

$(BUILD)/guest/tiny.elf: $(BUILD)/guest/tiny.full
	$(GUEST_OBJCOPY) --strip-all $< $@

.PHONY: tiny
tiny: $(BUILD)/guest/tiny.elf

$(BUILD)/obj/vmm/tiny_image.S.o: $(BUILD)/guest/tiny.elf

# ---- the portable half on the host, and its tests ----

GUEST_HOST := $(sort $(wildcard vmm/guest/*.c))

$(BUILD)/libguest.a: $(patsubst %,$(BUILD)/obj/%.o,$(GUEST_HOST))
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/tests/guest/%_test: $(BUILD)/obj/tests/guest/%_test.c.o \
    $(BUILD)/libguest.a $(BUILD)/libnet.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< -Wl,--start-group \
	    $(filter %.a,$^) -Wl,--end-group -lcmocka

GUEST_DEPS := $(shell find $(BUILD)/guest -name '*.d' 2>/dev/null)
-include $(GUEST_DEPS)
