# The bench of the NAT: in memory, and what it is loaded with.

BENCH_NAT := $(addprefix $(BUILD)/tests/bench/nat/,memory memory6 load)

$(BUILD)/tests/bench/nat/memory $(BUILD)/tests/bench/nat/memory6: \
    $(BUILD)/tests/bench/nat/%: $(BUILD)/obj/tests/bench/nat/%.c.o \
    $(call archives,router)
	@mkdir -p $(@D)
	$(call say,  LINK ,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< -Wl,--start-group \
	    $(filter %.a,$^) -Wl,--end-group $(call needs,router)

$(BUILD)/tests/bench/nat/load: $(BUILD)/obj/tests/bench/nat/load.c.o \
    $(call archives,net)
	@mkdir -p $(@D)
	$(call say,  LINK ,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< $(filter %.a,$^)
