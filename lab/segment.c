#include "lab/segment.h"

#include <string.h>

void
segments_init(struct segments *s, const struct lab *lab)
{
	s->lab = lab;
	for (unsigned int i = 0; i < lab->nswitches; i++)
		s->root[i] = i;
}

static unsigned int
root_of(const struct segments *s, const struct lab_switch *sw)
{
	unsigned int i = (unsigned int)(sw - s->lab->switches);

	while (s->root[i] != i)
		i = s->root[i];
	return i;
}

bool
segments_are_one(const struct segments *s, const struct lab_switch *a,
    const struct lab_switch *b)
{
	return root_of(s, a) == root_of(s, b);
}

void
segments_join(
    struct segments *s, const struct lab_switch *a, const struct lab_switch *b)
{
	unsigned int x = root_of(s, a), y = root_of(s, b);

	s->root[x > y ? x : y] = x > y ? y : x;
}

void
segments_join_all(struct segments *s)
{
	const struct lab *lab = s->lab;

	for (unsigned int i = 0; i < lab->nswitches; i++)
		for (unsigned int k = 0; k < lab->switches[i].nuplinks; k++)
			if (lab->switches[i].uplinks[k].up != NULL)
				segments_join(s, &lab->switches[i],
				    lab->switches[i].uplinks[k].up);
}

bool
segment_of(
    const struct segments *s, const struct lab_port *port, size_t *segment)
{
	const struct lab_port *a = port, *b = port->peer;

	if (port->sw != NULL) {
		*segment = root_of(s, port->sw);
		return true;
	}
	if (b == NULL)
		return false;
	/* of the two ends, the one with the lower name */
	*segment = LAB_SWITCHES_MAX +
	    (size_t)(strcmp(a->full, b->full) < 0 ? (uintptr_t)a
						  : (uintptr_t)b);
	return true;
}
