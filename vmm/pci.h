/*
 * pci.h - a PCI bus: configuration space, memory BARs, MSI-X and INTx.
 *
 * Bus 0 alone, one function in each of its 32 slots, reached by the ports
 * 0xcf8 and 0xcfc (PCI Local Bus 3.0, 3.2.2.3.2); slot 0 is the host bridge.
 * There is no firmware: functions get their addresses when they are made, and
 * decode them from the start.  A guest may move them.
 *
 * The caller holds the machine's lock.
 */
#ifndef VMM_PCI_H
#define VMM_PCI_H

#include <linux/pci_regs.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/archive.h"
#include "vmm/machine.h"

#define PCI_SLOTS            32
#define PCI_CONFIG_BYTES     256
#define PCI_BARS             3 /* of 64 bits each */
#define PCI_PORTS            0xcf8
#define PCI_RESET_PORT       0xcf9
#define PCI_RESET_VALUE      0x06
#define PCI_MMIO_START       0xe0000000u /* where BARs are put ... */
#define PCI_MMIO_END         0xfec00000u /* ... up to the IOAPIC */
#define PCI_MSIX_MAX         32
#define PCI_MSIX_ENTRY_BYTES 16

struct pci;
struct pci_function;

struct pci_function_ops {
	/* The BAR is at address now; or, mapped false, no longer there. */
	void (*moved)(struct pci_function *fn, unsigned int bar,
	    uint64_t address, bool mapped);
	/* The message of an MSI-X vector may have changed: pci_msix_message().
	 * NULL without MSI-X. */
	void (*vector)(struct pci_function *fn, unsigned int vector);
	/* Registers in configuration space that are not mere memory, from
	 * hook_start on: an access of 1, 2 or 4 bytes that lies in one 32-bit
	 * word.  False: treat it as memory.  NULL: there are none. */
	bool (*config_read)(struct pci_function *fn, unsigned int offset,
	    unsigned int bytes, uint32_t *value);
	bool (*config_write)(struct pci_function *fn, unsigned int offset,
	    unsigned int bytes, uint32_t value);
};

struct pci_bar {
	struct bus_range range;
	bool mapped;
};

struct pci_msix {
	unsigned int n; /* 0: has none */
	unsigned int cap;
	struct {
		uint64_t address;
		uint32_t data;
		bool masked;
	} vector[PCI_MSIX_MAX];
	uint32_t pending; /* by bit */
};

struct pci_function {
	const struct pci_function_ops *ops;
	struct pci *pci;
	unsigned int slot;
	uint8_t config[PCI_CONFIG_BYTES];
	uint8_t writable[PCI_CONFIG_BYTES]; /* by bit */
	uint8_t initial[PCI_CONFIG_BYTES];  /* config after reset */
	unsigned int cap_last, cap_free;
	struct pci_bar bar[PCI_BARS];
	struct pci_msix msix;
	bool intx; /* the function wants its line */
	bool line; /* and drives it */
};

struct pci {
	struct machine *machine;
	struct bus_range ports;
	uint32_t address; /* last written to 0xcf8 */
	struct pci_function *slot[PCI_SLOTS];
	struct pci_function host;
	uint64_t next_bar;
	unsigned int line_users[ENGINE_LINES];
};

/* Makes the bus with its host bridge and puts it on the machine's ports. */
void pci_init(struct pci *pci, struct machine *machine);
void pci_fini(struct pci *pci); /* all functions are gone */

/* ---- for who makes a function, in this order ---- */

/* Fills in *fn with a header, in no slot yet. */
void pci_function_init(struct pci_function *fn,
    const struct pci_function_ops *ops, uint16_t vendor, uint16_t device,
    uint32_t class_revision, uint16_t subsystem_vendor, uint16_t subsystem);

/* Appends a capability of bytes (its id and next included).  Returns where it
 * is in fn->config, all zeros but for these two and all read-only. */
unsigned int pci_cap_add(
    struct pci_function *fn, uint8_t id, unsigned int bytes);

/* Gives it 64-bit memory BAR number bar (0 to 2); bytes is a power of two of at
 * least a page.  ops and arg serve its registers. */
void pci_bar_add(struct pci_function *fn, unsigned int bar, uint64_t bytes,
    const struct bus_ops *ops, void *arg);

/* Gives it MSI-X: n vectors, table and pending bits in BAR bar. */
void pci_msix_add(struct pci_function *fn, unsigned int n, unsigned int bar,
    uint32_t table, uint32_t pending);

/* Puts it into the lowest free slot, its BARs not yet mapped.  Has an interrupt
 * line if intx.  0, or -ENOSPC: no slot or no room for a BAR. */
int pci_add(struct pci *pci, struct pci_function *fn, bool intx);
void pci_remove(struct pci_function *fn);

/* ---- life ---- */

/* Unmaps all BARs and forgets what the guest configured; then maps them at the
 * initial addresses.  Between the two the engine may be replaced. */
void pci_stop(struct pci *pci);
void pci_start(struct pci *pci);

/* What the guest configured: of the bus, and of one function, which drives its
 * line and maps its BARs when it was loaded.  Started, with all functions in
 * the slots that they had. */
void pci_archive(struct pci *pci, struct archive *a);
void pci_function_archive(struct pci_function *fn, struct archive *a);

/* The interrupt line that a slot's INTA# is wired to. */
unsigned int pci_line(unsigned int slot);

/* The function wants its INTx line, or no longer. */
void pci_intx(struct pci_function *fn, bool level);

bool pci_msix_enabled(const struct pci_function *fn);
/* False: the vector is off, masked or beyond the table. */
bool pci_msix_message(
    const struct pci_function *fn, unsigned int vector, struct msi *msi);
/* Sends it, or notes it as pending when it is masked. */
void pci_msix_send(struct pci_function *fn, unsigned int vector);

/* The registers of the table and of the pending bits, for the BAR's ops. */
uint64_t pci_msix_table_read(
    struct pci_function *fn, uint64_t offset, unsigned int bytes);
void pci_msix_table_write(struct pci_function *fn, uint64_t offset,
    unsigned int bytes, uint64_t value);
uint64_t pci_msix_pending_read(
    struct pci_function *fn, uint64_t offset, unsigned int bytes);

#endif
