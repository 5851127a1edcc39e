// Drives sideshow/apns2: REQUESTS pushes over one connection, at most IN_FLIGHT unanswered.
//
// Usage: apns2 PORT CA_FILE KEY_FILE BODY_FILE REQUESTS IN_FLIGHT RATE
// RATE 0: as fast as answers come. Otherwise so many a second by the clock, and for each the microseconds from when it was
// due to its answer are printed, one a line. Fails if a push is not accepted.
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/sideshow/apns2"
	"github.com/sideshow/apns2/token"
	"golang.org/x/net/http2"
)

const paths = 25000

type job struct {
	number int
	due    time.Time
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func client(port, caFile, keyFile string) *apns2.Client {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(must(os.ReadFile(caFile))) {
		log.Fatal("no certificate in ", caFile)
	}
	made := apns2.NewTokenClient(&token.Token{
		AuthKey: must(token.AuthKeyFromFile(keyFile)),
		KeyID:   "ABC123DEFG",
		TeamID:  "TEAM123456",
	})
	made.Host = "https://127.0.0.1:" + port
	made.HTTPClient.Transport.(*http2.Transport).TLSClientConfig = &tls.Config{RootCAs: roots}
	return made
}

func main() {
	if len(os.Args) != 8 {
		log.Fatal("usage: apns2 PORT CA_FILE KEY_FILE BODY_FILE REQUESTS IN_FLIGHT RATE")
	}
	sender := client(os.Args[1], os.Args[2], os.Args[3])
	body := must(os.ReadFile(os.Args[4]))
	requests, inFlight := must(strconv.Atoi(os.Args[5])), must(strconv.Atoi(os.Args[6]))
	rate := must(strconv.ParseFloat(os.Args[7], 64))
	took := make([]time.Duration, requests)
	jobs := make(chan job)
	var lanes sync.WaitGroup
	for range inFlight {
		lanes.Add(1)
		go func() {
			defer lanes.Done()
			for work := range jobs {
				push(sender, body, work.number)
				took[work.number] = time.Since(work.due)
			}
		}()
	}
	started := time.Now()
	for number := range requests {
		due := time.Now()
		if rate > 0 {
			due = started.Add(time.Duration(float64(number) / rate * float64(time.Second)))
			time.Sleep(time.Until(due))
		}
		jobs <- job{number, due}
	}
	close(jobs)
	lanes.Wait()
	if rate > 0 {
		out := bufio.NewWriter(os.Stdout)
		for _, duration := range took {
			fmt.Fprintln(out, duration.Microseconds())
		}
		if err := out.Flush(); err != nil {
			log.Fatal(err)
		}
	}
}

func push(sender *apns2.Client, body []byte, number int) {
	answer, err := sender.Push(&apns2.Notification{
		DeviceToken: fmt.Sprintf("%064x", number%paths),
		Topic:       "com.example.chat",
		PushType:    apns2.PushTypeAlert,
		Priority:    apns2.PriorityHigh,
		Expiration:  time.Unix(1795000000, 0),
		Payload:     body,
		ApnsID:      fmt.Sprintf("019a8f4e-2b3c-7d10-9000-%012x", number),
	})
	if err != nil || answer.StatusCode != http.StatusOK {
		log.Fatal("not accepted: ", answer, err)
	}
}
