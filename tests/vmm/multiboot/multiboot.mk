# A Multiboot kernel for tests/labs/multiboot.sh: $(BUILD)/tests/vmm/multiboot/
# elf and flat, the same with and without an ELF header.

MULTIBOOT := $(BUILD)/tests/vmm/multiboot
MULTIBOOT_CFLAGS := -m32 -march=i686 -std=c17 -O1 $(WARN) -ffreestanding \
	-mgeneral-regs-only -fno-stack-protector -fno-pic -fno-pie \
	-fcf-protection=none -fno-asynchronous-unwind-tables -nostdlib -static \
	-Wl,--build-id=none -Wl,-z,max-page-size=4096 \
	-Wl,-z,noexecstack -Wl,--no-warn-rwx-segments \
	-Wl,-T,tests/vmm/multiboot/kernel.ld

$(MULTIBOOT)/elf $(MULTIBOOT)/flat.elf: $(wildcard tests/vmm/multiboot/*)
	@mkdir -p $(@D)
	$(call say,  CC   ,$@)
	$(Q)$(CC) $(MULTIBOOT_CFLAGS) $(if $(filter %/flat.elf,$@),-DFLAT) -o $@ \
	    $(filter %.c %.S,$^)

$(MULTIBOOT)/flat: $(MULTIBOOT)/flat.elf
	$(Q)objcopy -O binary $< $@

.PHONY: multiboot
multiboot: $(MULTIBOOT)/elf $(MULTIBOOT)/flat
