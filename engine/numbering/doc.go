// Package numbering reads what was dialled at a site, and says when the site works.
//
// A [Plan] knows the site's country and the prefixes of its phones. [Plan.Read] gives the number
// that a call goes to, with its country and type; [Plan.Emergency] recognises emergency numbers;
// [Plan.At] gives hour, weekday and night in the site's zone.
//
// The facts are those of libphonenumber: countries.txt has the prefixes and the emergency numbers of
// each country, numbers.bin the ranges of numbers. A test makes both from
// github.com/nyaruka/phonenumbers, and compares their readings. The program does not contain that
// module: it unpacks all its metadata when any program with it starts. Both files are read in place,
// so a guard whose rules do not read numbers pays nothing for them, and a reading allocates a few short texts.
//
//	go get github.com/nyaruka/phonenumbers@latest
//	go test ./engine/numbering -run Tables -update
package numbering
