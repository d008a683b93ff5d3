// Command clients builds the clients of registries and scanners that Central
// builds, from the libraries that Central is built with, and says how their
// tests end: one JSON object per line on stdin, one JSON object per line on
// stdout. Nobody is asked over the network but what gRPC dials. See ../README.md.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	containeranalysis "cloud.google.com/go/containeranalysis/apiv1beta1"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	awsECR "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/heroku/docker-registry-client/registry"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	gcreds "google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/types/known/emptypb"
)

type input struct {
	Kind     string
	Endpoint string
	Status   int
	Region   string
	Role     string
	IAM      bool
	Text     string
}
type output struct {
	Dialed []string `json:"dialed,omitempty"`
	Asked  []string `json:"asked,omitempty"`
	Error  string   `json:"error,omitempty"`
	Build  string   `json:"build,omitempty"`
	Panic  string   `json:"panic,omitempty"`
	OK     bool     `json:"ok,omitempty"`
}

var mu sync.Mutex

// failing answers with a status, or finds no host; it notes whom it was to dial.
func failing(in input, out *output) http.RoundTripper {
	if in.Status != 0 {
		return rt(func(r *http.Request) (*http.Response, error) {
			out.Asked = append(out.Asked, r.URL.String()+" Host="+r.Host+" auth="+r.Header.Get("Authorization"))
			return &http.Response{StatusCode: in.Status, Status: fmt.Sprintf("%d %s", in.Status, http.StatusText(in.Status)), Body: io.NopCloser(strings.NewReader(in.Text)), Header: http.Header{}, Request: r}, nil
		})
	}
	return &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		mu.Lock()
		out.Dialed = append(out.Dialed, addr)
		mu.Unlock()
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		return nil, &net.OpError{Op: "dial", Net: network, Err: &net.DNSError{Err: "no such host", Name: host}}
	}}
}

type rt func(r *http.Request) (*http.Response, error)

func (f rt) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// formatURL gives an endpoint its scheme, as Central does.
func formatURL(e, scheme string) string {
	if !strings.HasPrefix(e, "http") {
		e = scheme + "://" + e
	}
	return strings.TrimRight(e, "/")
}

func answer(in input) (out output) {
	defer func() {
		if r := recover(); r != nil {
			out.Panic = fmt.Sprint(r)
		}
	}()
	set := func(err error) {
		if err != nil {
			out.Error = err.Error()
		} else {
			out.OK = true
		}
	}
	switch in.Kind {
	case "ping", "catalog":
		e := in.Endpoint
		if strings.EqualFold(e, "https://docker.io") || strings.EqualFold(e, "docker.io") {
			e = "https://registry-1.docker.io"
		}
		u := formatURL(e, "https")
		t := registry.WrapTransport(failing(in, &out), u, "u", "p")
		c, err := registry.NewFromTransport(u, t, registry.Quiet)
		if err != nil {
			out.Build = err.Error()
			return
		}
		c.Client.Timeout = 5 * time.Second
		if in.Kind == "ping" {
			set(c.Ping())
		} else {
			_, err = c.Repositories()
			set(err)
		}
	case "clair":
		full := strings.Join([]string{strings.TrimRight(formatURL(in.Endpoint, "https"), "/"), "v1", "namespaces"}, "/")
		u, err := url.Parse(full)
		if err != nil {
			out.Error = "incorrect endpoint format: " + err.Error()
			return
		}
		u.RawQuery = url.Values{}.Encode()
		req, err := http.NewRequest("GET", u.String(), nil)
		if err != nil {
			set(err)
			return
		}
		_, err = (&http.Client{Transport: failing(in, &out)}).Do(req)
		set(err)
	case "clairV4":
		req, err := http.NewRequest("GET", formatURL(in.Endpoint, "https")+"/indexer/api/v1/index_state", nil)
		if err != nil {
			out.Error = "unable to create test request: " + err.Error()
			return
		}
		_, err = (&http.Client{Transport: failing(in, &out)}).Do(req)
		set(err)
	case "clairify":
		req, err := http.NewRequest("GET", formatURL(in.Endpoint, "http")+"/scanner/ping", nil)
		if err != nil {
			set(err)
			return
		}
		_, err = (&http.Client{Transport: failing(in, &out)}).Do(req)
		set(err)
	case "quay":
		_, err := (&http.Client{Transport: failing(in, &out)}).Get(formatURL(in.Endpoint, "https") + "/api/v1/discovery")
		set(err)
	case "grpc":
		conn, err := grpc.Dial(in.Endpoint, grpc.WithTransportCredentials(gcreds.NewTLS(&tls.Config{})))
		if err != nil {
			out.Build = err.Error()
			return
		}
		defer conn.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		set(conn.Invoke(ctx, "/scannerV1.PingService/Ping", &emptypb.Empty{}, &emptypb.Empty{}))
	case "google_registry":
		ctx := context.WithValue(context.Background(), oauth2.HTTPClient, &http.Client{Transport: failing(in, &out)})
		creds, err := google.CredentialsFromJSON(ctx, []byte(in.Text), "https://www.googleapis.com/auth/cloud-platform", "https://www.googleapis.com/auth/cloud-platform.read-only")
		if err != nil {
			out.Build = err.Error()
			return
		}
		_, err = oauth2.ReuseTokenSourceWithExpiry(nil, creds.TokenSource, 5*time.Minute).Token()
		set(err)
	case "google_scanner":
		_, err := containeranalysis.NewGrafeasV1Beta1Client(context.Background(), option.WithCredentialsJSON([]byte(in.Text)))
		if err != nil {
			out.Build = err.Error()
			return
		}
		out.OK = true
	case "ecr":
		ctx := context.Background()
		opts := []func(*config.LoadOptions) error{config.WithRegion(in.Region), config.WithHTTPClient(&http.Client{Transport: failing(in, &out)})}
		if !in.IAM {
			opts = append(opts, config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider("AKIA", "s", "")))
		}
		c, err := config.LoadDefaultConfig(ctx, opts...)
		if err != nil {
			out.Build = err.Error()
			return
		}
		if in.Role != "" {
			c.Credentials = stscreds.NewAssumeRoleProvider(sts.NewFromConfig(c), "arn:aws:iam::1:role/"+in.Role)
		}
		var co []func(*awsECR.Options)
		if in.Endpoint != "" {
			co = append(co, func(o *awsECR.Options) { o.BaseEndpoint = aws.String(formatURL(in.Endpoint, "https")) })
		}
		_, err = awsECR.NewFromConfig(c, co...).GetAuthorizationToken(ctx, &awsECR.GetAuthorizationTokenInput{})
		set(err)
	default:
		set(errors.New("kind"))
	}
	return
}

func main() {
	sc := bufio.NewScanner(os.Stdin)
	sc.Buffer(nil, 1<<24)
	w := bufio.NewWriter(os.Stdout)
	defer w.Flush()
	for sc.Scan() {
		var in input
		if err := json.Unmarshal(sc.Bytes(), &in); err != nil {
			panic(err)
		}
		b, _ := json.Marshal(answer(in))
		w.Write(append(b, '\n'))
		w.Flush()
	}
}
