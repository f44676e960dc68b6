#include "pcap-tools/ladder.h"

#include "pcap-tools/ladder_steps.h"

int
ladder(const char *path, const struct ladder_options *options, FILE *out,
    struct err *err)
{
	struct ladder_model model;
	int e = ladder_read(&model, path, options, err);

	/* What stands before a place where the file breaks is shown. */
	if (model.nsteps > 0)
		switch (options->format) {
		case LADDER_TEXT: ladder_text(&model, out); break;
		case LADDER_SVG: ladder_svg(&model, out); break;
		}
	if (e == 0)
		e = (int)model.left_out;
	ladder_free(&model);
	return e;
}
