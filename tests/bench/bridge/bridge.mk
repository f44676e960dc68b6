# What the bench of bridges sends with.

BENCH_BRIDGE := $(BUILD)/tests/bench/bridge/flood

$(BENCH_BRIDGE): tests/bench/bridge/flood.c tests/bench/loading.h
	@mkdir -p $(@D)
	$(call say,  CC   ,$@)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -o $@ $<
