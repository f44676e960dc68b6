# What the bench of captures offers frames with; and switching, twice: with
# capture points, and with a port.c that has none.

BENCH_CAPTURE := $(addprefix $(BUILD)/tests/bench/capture/,offer switching \
		 unwatched blast)
CAPTURE_OBJ   := $(BUILD)/obj/tests/bench/capture

link_bench = $(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) \
	     -Wl,--start-group $(filter %.a,$^) -Wl,--end-group

$(BUILD)/tests/bench/capture/offer: $(CAPTURE_OBJ)/offer.c.o \
    $(call archives,pcap-tools)
	@mkdir -p $(@D)
	$(call say,  LINK ,$@)
	$(Q)$(link_bench) $(call needs,pcap-tools)

$(BUILD)/tests/bench/capture/switching: $(CAPTURE_OBJ)/switching.c.o \
    $(call archives,switch)
	@mkdir -p $(@D)
	$(call say,  LINK ,$@)
	$(Q)$(link_bench) $(call needs,switch)

# Its own port.o stands in for the archive's.
$(CAPTURE_OBJ)/unwatched_port.o: switch/port.c
	@mkdir -p $(@D)
	$(call say,  CC   ,$@)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -DPORT_UNWATCHED -MMD -MP -c -o $@ $<

$(BUILD)/tests/bench/capture/unwatched: $(CAPTURE_OBJ)/switching.c.o \
    $(CAPTURE_OBJ)/unwatched_port.o $(call archives,switch)
	@mkdir -p $(@D)
	$(call say,  LINK ,$@)
	$(Q)$(link_bench) $(call needs,switch)

$(BUILD)/tests/bench/capture/blast: $(CAPTURE_OBJ)/blast.c.o
	@mkdir -p $(@D)
	$(call say,  LINK ,$@)
	$(Q)$(link_bench)
