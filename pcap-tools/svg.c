#include "pcap-tools/svg.h"

static const char common[] =
    "text{font:13px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,"
    "monospace;fill:#1b1f24;white-space:pre}\n"
    ".page{fill:#fff}\n"
    ".name{font-weight:bold}\n"
    ".dim{fill:#57606a}\n";

void
svg_escaped(FILE *out, const char *text)
{
	for (; *text != '\0'; text++)
		switch (*text) {
		case '<': fputs("&lt;", out); break;
		case '>': fputs("&gt;", out); break;
		case '&': fputs("&amp;", out); break;
		default: fputc(*text, out);
		}
}

void
svg_begin(FILE *out, unsigned int width, unsigned int height, const char *title,
    const char *style)
{
	fprintf(out,
	    "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" "
	    "width=\"%u\" height=\"%u\" viewBox=\"0 0 %u %u\">\n<title>",
	    width, height, width, height);
	svg_escaped(out, title);
	fprintf(out,
	    "</title>\n<style>\n%s%s</style>\n<rect class=\"page\" "
	    "width=\"100%%\" height=\"100%%\"/>\n",
	    common, style);
}

void
svg_end(FILE *out)
{
	fputs("</svg>\n", out);
}

void
svg_text(FILE *out, unsigned int x, unsigned int y, const char *class,
    const char *text)
{
	if (text[0] == '\0')
		return;
	fprintf(out, "<text x=\"%u\" y=\"%u\"", x, y);
	if (class != NULL)
		fprintf(out, " class=\"%s\"", class);
	fputc('>', out);
	svg_escaped(out, text);
	fputs("</text>\n", out);
}

void
svg_line(FILE *out, const char *class, unsigned int x1, unsigned int y1,
    unsigned int x2, unsigned int y2)
{
	fprintf(out,
	    "<line class=\"%s\" x1=\"%u\" y1=\"%u\" x2=\"%u\" y2=\"%u\"/>\n",
	    class, x1, y1, x2, y2);
}

void
svg_box(FILE *out, const char *class, unsigned int x, unsigned int y,
    unsigned int width, unsigned int height)
{
	fprintf(out,
	    "<rect class=\"%s\" x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\" "
	    "rx=\"5\"/>\n",
	    class, x, y, width, height);
}
