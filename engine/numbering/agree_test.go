package numbering

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/nyaruka/phonenumbers"

	"freeswitch-security/engine/event"
)

// kinds are the types of libphonenumber.
var kinds = map[phonenumbers.PhoneNumberType]string{
	phonenumbers.FIXED_LINE: event.FixedLine, phonenumbers.MOBILE: event.Mobile, phonenumbers.FIXED_LINE_OR_MOBILE: event.FixedLineOrMobile,
	phonenumbers.TOLL_FREE: event.TollFree, phonenumbers.PREMIUM_RATE: event.PremiumRate, phonenumbers.SHARED_COST: event.SharedCost,
	phonenumbers.VOIP: event.VoIP, phonenumbers.PERSONAL_NUMBER: event.PersonalNumber, phonenumbers.PAGER: event.Pager,
	phonenumbers.UAN: event.UAN, phonenumbers.VOICEMAIL: event.Voicemail,
}

// TestAgrees compares the table with libphonenumber: its example numbers of all regions and types, and
// those with some digits changed, one more or one less.
func TestAgrees(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	compared, valid := 0, 0
	for _, digits := range examples(t) {
		for n := range 8 {
			other := []byte(digits)
			for range n % 4 {
				other[1+rng.IntN(len(other)-1)] = byte('0' + rng.IntN(10))
			}
			switch n {
			case 6:
				other = append(other, byte('0'+rng.IntN(10)))
			case 7:
				other = other[:len(other)-1]
			}
			number, err := phonenumbers.Parse("+"+string(other), "ZZ")
			if err != nil || phonenumbers.Format(number, phonenumbers.E164) != "+"+string(other) {
				continue // it reads another number
			}
			compared++
			m, ok := lookup(string(other))
			switch {
			case !ok || m.code != len(strconv.Itoa(int(number.GetCountryCode()))):
				t.Errorf("+%s: calling code %s", other, other[:m.code])
			case phonenumbers.IsValidNumber(number) != (m.valid == len(other)):
				t.Errorf("+%s: %d digits are a number", other, m.valid)
			case m.valid != len(other):
			case m.region() != phonenumbers.GetRegionCodeForNumber(number) || m.kind() != kinds[phonenumbers.GetNumberType(number)]:
				t.Errorf("+%s: got %s %s, want %s %s", other, m.region(), m.kind(), phonenumbers.GetRegionCodeForNumber(number), kinds[phonenumbers.GetNumberType(number)])
			default:
				valid++
			}
		}
	}
	if compared < 5000 || valid < 2000 {
		t.Errorf("only %d numbers were compared, %d of them valid", compared, valid)
	}
	t.Logf("%d numbers, %d of them valid", compared, valid)
}

// examples lists the example numbers of libphonenumber, without the +.
func examples(t *testing.T) (all []string) {
	t.Helper()
	collection, err := phonenumbers.MetadataCollection()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range collection.GetMetadata() {
		for _, typ := range types {
			if example := typ.desc(m).GetExampleNumber(); example != "" {
				all = append(all, strconv.Itoa(int(m.GetCountryCode()))+strings.TrimSpace(example))
			}
		}
	}
	return all
}
