package ovfspec

import "testing"

func TestUnits(t *testing.T) {
	text := func(s string) *string { return &s }
	for _, tt := range []struct {
		unit *string
		want int64
	}{
		{nil, 7}, {text("byte * 2^20"), 1 << 20}, {text("byte*2^30"), 1 << 30}, {text("MegaBytes"), 1 << 20},
		{text("byte * 1024"), 1024}, {text("bytes"), 1},
	} {
		if got := units(tt.unit, 7); got != tt.want {
			t.Errorf("units(%v) = %d, want %d", tt.unit, got, tt.want)
		}
	}
}

func TestAppliesTakesAListOfOptions(t *testing.T) {
	b := &builder{}
	b.Options.DeploymentOption = "tiny"
	both, other := "small tiny", "small"
	if !b.applies(nil) || !b.applies(&both) || b.applies(&other) {
		t.Error("an element is taken for another deployment option")
	}
}
