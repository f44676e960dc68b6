# The guest of the bench of engine emulate.

BENCH_KERNELS := $(BUILD)/tests/bench/emulate/kernels.elf

$(BENCH_KERNELS): tests/bench/emulate/start.S tests/bench/emulate/kernels.c \
    tests/bench/emulate/kernels.ld
	@mkdir -p $(@D)
	$(call say,  CC   ,$@)
	$(Q)$(CC) -std=gnu17 -O2 $(WARN) -ffreestanding -fno-stack-protector \
	    -fno-pic -fno-pie -mno-red-zone -mcmodel=small -fcf-protection=none \
	    -fno-tree-loop-distribute-patterns -fno-asynchronous-unwind-tables \
	    -nostdlib -static -Wl,--build-id=none -Wl,-z,noexecstack \
	    -Wl,-z,max-page-size=4096 -Wl,--no-warn-rwx-segments \
	    -Wl,-T,tests/bench/emulate/kernels.ld \
	    -o $@ tests/bench/emulate/start.S tests/bench/emulate/kernels.c

.PHONY: bench-kernels
bench-kernels: $(BENCH_KERNELS)
