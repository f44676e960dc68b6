# The Linux guest: $(BUILD)/guest/linux/vmlinuz, initrd and cmdline, of Debian
# packages; `make guest` makes it and the tiny guest.  image.sh says how.

LINUX_GUEST := $(BUILD)/guest/linux
LINUX_PARTS := $(addprefix vmm/linux/,image.sh init lease inittab profile cmdline)

# A program of the guest, not of the host: no sanitizers, no libraries.
$(LINUX_GUEST)/agent: $(wildcard vmm/linux/*.[ch])
	@mkdir -p $(@D)
	$(call say,  CC   ,$@)
	$(Q)$(CC) -I. -D_GNU_SOURCE -std=c17 -Os $(WARN) -static -s -o $@ \
	    $(filter %.c,$^)

$(LINUX_GUEST)/vmlinuz $(LINUX_GUEST)/initrd $(LINUX_GUEST)/cmdline &: \
    $(LINUX_PARTS) $(LINUX_GUEST)/agent
	$(Q)vmm/linux/image.sh $(LINUX_GUEST) $(LINUX_GUEST)/agent

guest: $(LINUX_GUEST)/vmlinuz $(LINUX_GUEST)/initrd $(LINUX_GUEST)/cmdline

# Installed when it has been made.
.PHONY: install-guest
install: install-guest
install-guest:
	for f in vmlinuz initrd cmdline; do \
	    [ ! -f $(LINUX_GUEST)/$$f ] || \
		install -D -m 644 $(LINUX_GUEST)/$$f \
		    $(DESTDIR)$(PREFIX)/share/lanyard/linux/$$f || exit 1; \
	done

# ---- its agent on the host, for tests/linux ----

$(BUILD)/tests/linux/%_test: $(BUILD)/obj/tests/linux/%_test.c.o \
    $(BUILD)/obj/vmm/linux/agent.c.o
	@mkdir -p $(@D)
	$(call say,  LINK ,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ -lcmocka
