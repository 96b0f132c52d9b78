package numbering

import "testing"

func TestRead(t *testing.T) {
	for _, c := range []struct {
		country, dialled string
		want             Reading
	}{
		{"DE", "9972592123456", Reading{}},
		{"DE", "0301234567", Reading{"+49301234567", "DE", "fixed_line"}},
		{"DE", "+49 (0) 30 1234567", Reading{"+49301234567", "DE", "fixed_line"}},
		{"US", "9911", Reading{"", "US", "emergency"}},
		{"US", "18765551234", Reading{"+18765551234", "JM", "mobile"}},
		{"GB", "0909879000055", Reading{"+449098790000", "GB", "premium_rate"}},
		{"", "+88216123456", Reading{"+88216123456", "001", "satellite"}},
		{"", "00979123456789", Reading{"+979123456789", "001", "premium_rate"}},
		{"BR", "01511987654321", Reading{"+5511987654321", "BR", "mobile"}},
	} {
		p, err := New(Site{Country: c.country})
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Read(c.dialled); got != c.want {
			t.Errorf("%s %s: got %v, want %v", c.country, c.dialled, got, c.want)
		}
	}
}
