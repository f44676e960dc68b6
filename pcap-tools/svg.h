/*
 * svg.h - pictures as SVG 1.1, for pages, slides and paper.
 *
 * Text is in a monospaced font, SVG_CHAR pixels to a letter, so that whoever
 * lays out knows what fits.  Colours are classes of a style sheet.
 */
#ifndef PCAP_TOOLS_SVG_H
#define PCAP_TOOLS_SVG_H

#include <stdio.h>

#define SVG_CHAR 8u

/* Classes that every picture has: text, "name" (bold), "dim", "page". */
void svg_begin(FILE *out, unsigned int width, unsigned int height,
    const char *title, const char *style);
void svg_end(FILE *out);

/* class may be NULL.  Nothing for "". */
void svg_text(FILE *out, unsigned int x, unsigned int y, const char *class,
    const char *text);
void svg_line(FILE *out, const char *class, unsigned int x1, unsigned int y1,
    unsigned int x2, unsigned int y2);
void svg_box(FILE *out, const char *class, unsigned int x, unsigned int y,
    unsigned int width, unsigned int height);

/* Text as it stands within an element: '<' and the like written out. */
void svg_escaped(FILE *out, const char *text);

#endif
