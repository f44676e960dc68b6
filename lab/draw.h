/*
 * draw.h - a lab as a picture.
 *
 * As text for people: switches are buses, nodes hang on them with their
 * addresses; a lab too wide for the width asked for becomes an outline.  As
 * DOT or Mermaid for other programs, as SVG for pages and paper.
 */
#ifndef LAB_DRAW_H
#define LAB_DRAW_H

#include <stdio.h>

#include "lab/model.h"

#define DRAW_WIDTH 120 /* columns, when nobody knows better */

enum draw_format { DRAW_TEXT, DRAW_DOT, DRAW_MERMAID, DRAW_SVG };

extern const char *const draw_formats[]; /* names, NULL at the end */

/* 0, -ENOMEM, or -E2BIG: more switches than an SVG can show. */
int draw(const struct lab *lab, enum draw_format format, unsigned int width,
    FILE *out);

#endif
