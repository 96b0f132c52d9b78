// Package chart draws counts as HTML: stacked bars over time, and lists of the largest.
//
// It stands behind the path: the page of the admin listener and the reports show its charts. A chart is
// SVG or a table with CSS classes and no style attribute, so that a strict Content-Security-Policy, dark
// mode and paper are matters of [CSS] alone. What a chart shows is also a table, for readers who cannot see.
//
// Invariant: names are text, whatever an attacker wrote: bounded, without control and direction characters,
// and escaped by html/template. A chart has a bounded size.
package chart
