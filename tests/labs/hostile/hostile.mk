# The guest of tests/labs/hostile.sh.

HOSTILE_GUEST := $(BUILD)/tests/labs/hostile/hostile.elf

$(HOSTILE_GUEST): tests/labs/hostile/start.S tests/labs/hostile/hostile.c \
    tests/labs/hostile/hostile.ld
	@mkdir -p $(@D)
	$(call say,  CC   ,$@)
	$(Q)$(CC) -std=gnu17 -O1 $(WARN) -ffreestanding -fno-stack-protector \
	    -fno-pic -fno-pie -mno-red-zone -mcmodel=small -mgeneral-regs-only \
	    -fcf-protection=none -fno-tree-loop-distribute-patterns \
	    -fno-asynchronous-unwind-tables -nostdlib -static \
	    -Wl,--build-id=none -Wl,-z,noexecstack -Wl,-z,max-page-size=4096 \
	    -Wl,--no-warn-rwx-segments -Wl,-T,tests/labs/hostile/hostile.ld \
	    -o $@ tests/labs/hostile/start.S tests/labs/hostile/hostile.c

.PHONY: hostile-guest
hostile-guest: $(HOSTILE_GUEST)
