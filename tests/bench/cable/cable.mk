# What the bench of cables sends and receives with, and what counts its cost.

BENCH_CABLE := $(BUILD)/tests/bench/cable/probe $(BUILD)/tests/bench/cable/cost

$(BUILD)/tests/bench/cable/probe: tests/bench/cable/probe.c
	@mkdir -p $(@D)
	$(call say,  CC   ,$@)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -o $@ $< -lm

$(BUILD)/tests/bench/cable/cost: $(BUILD)/obj/tests/bench/cable/cost.c.o \
    $(call archives,switch)
	@mkdir -p $(@D)
	$(call say,  LINK ,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< -Wl,--start-group \
	    $(filter %.a,$^) -Wl,--end-group $(call needs,switch)
