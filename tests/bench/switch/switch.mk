# The bench of the switch: guests on rings, and a pump for sockets and devices.

BENCH_SWITCH := $(BUILD)/tests/bench/switch/rings $(BUILD)/tests/bench/switch/pump
RINGS_OBJ := $(addprefix $(BUILD)/obj/tests/bench/switch/,main.c.o guests.c.o \
    ceiling.c.o fabric.c.o) $(BUILD)/obj/tests/bench/nat/router.c.o \
    $(BUILD)/obj/tests/switch/vhost_frontend.c.o

$(BUILD)/tests/bench/switch/rings: $(RINGS_OBJ) $(call archives,router)
	@mkdir -p $(@D)
	$(call say,  LINK ,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(RINGS_OBJ) -Wl,--start-group \
	    $(filter %.a,$^) -Wl,--end-group $(call needs,router)

$(BUILD)/tests/bench/switch/pump: $(BUILD)/obj/tests/bench/switch/pump.c.o \
    $(call archives,switch)
	@mkdir -p $(@D)
	$(call say,  LINK ,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< -Wl,--start-group \
	    $(filter %.a,$^) -Wl,--end-group $(call needs,switch)
