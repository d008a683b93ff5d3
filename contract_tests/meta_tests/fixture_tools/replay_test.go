package fixtures

import (
	"net/http"
	"os"
	"testing"
)

// Plays the lines that a mock of the newest release answers as it is started.
func TestCentral(t *testing.T) {
	url := os.Getenv("CENTRAL")
	server := Server{URL: url, Tokens: map[string]string{"ADMIN": "mock-admin-token"}, Reset: func(t *testing.T) {
		answer, err := http.Post(url+"/__admin/reset", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
	}}
	played := 0
	Run(t, server, func(each Fixture) bool {
		if each.Plain() {
			played++
		}
		return each.Plain()
	})
	if played < 1000 {
		t.Errorf("%d fixtures were played", played)
	}
}
