// Command reference answers, with the real Go libraries, the questions the
// Python re-implementation has to answer: one JSON object per line on stdin,
// one JSON object per line on stdout. See README.md.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/oauth2/google"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	_ "google.golang.org/protobuf/types/known/timestamppb"
)

// repeat stands for prefix + unit*times + suffix + close*times + end.
type repeat struct {
	Prefix string `json:"prefix"`
	Unit   string `json:"unit"`
	Times  int    `json:"times"`
	Suffix string `json:"suffix"`
	Close  string `json:"close"`
	End    string `json:"end"`
}

type input struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
	// The bytes in question: exactly one of these is set.
	Text        *string `json:"text"`         // decode: as text
	Body        []byte  `json:"body"`         // decode: as base64
	Repeat      *repeat `json:"repeat"`       // any kind
	Value       *string `json:"value"`        // other kinds: as text
	ValueBase64 []byte  `json:"value_base64"` // other kinds: as base64
}

func (in *input) bytes() []byte {
	switch {
	case in.Repeat != nil:
		r := in.Repeat
		return []byte(r.Prefix + strings.Repeat(r.Unit, r.Times) + r.Suffix +
			strings.Repeat(r.Close, r.Times) + r.End)
	case in.Text != nil:
		return []byte(*in.Text)
	case in.Value != nil:
		return []byte(*in.Value)
	case in.ValueBase64 != nil:
		return in.ValueBase64
	}
	return in.Body
}

type output struct {
	OK    any `json:"ok,omitempty"`
	Size  any `json:"size,omitempty"`
	Error any `json:"error,omitempty"`
	// Set only if the error text is not valid UTF-8.
	ErrorBase64 []byte `json:"error_base64,omitempty"`
}

func failure(err error) output {
	text := err.Error()
	// The protobuf library picks one of two spaces, per build of the program.
	if rest, found := strings.CutPrefix(text, "proto:\u00a0"); found {
		text = "proto: " + rest
	}
	out := output{Error: text}
	if !utf8.ValidString(text) {
		out.ErrorBase64 = []byte(text)
	}
	return out
}

func answer(in *input) output {
	value := in.bytes()
	switch in.Kind {
	case "decode":
		return decode(in.Message, value)
	case "endpoint":
		if err := checkEndpoint(string(value)); err != nil {
			return failure(err)
		}
		return output{OK: true}
	case "quote":
		return output{OK: strconv.Quote(string(value))}
	case "json":
		var target struct {
			Type string `json:"type"`
		}
		if err := json.Unmarshal(value, &target); err != nil {
			return failure(err)
		}
		return output{OK: target.Type}
	case "google":
		if _, err := google.CredentialsFromJSON(context.Background(), value); err != nil {
			return failure(err)
		}
		return output{OK: true}
	case "query":
		values, err := url.ParseQuery(string(value))
		if err != nil {
			return failure(err)
		}
		return output{OK: values}
	}
	panic("unknown kind " + strconv.Quote(in.Kind))
}

// decode does what the gateway's JSONPb decoder and the generated handlers do.
func decode(name string, body []byte) output {
	msg := newMessage(name)
	if err := decodeInto(json.NewDecoder(bytes.NewReader(body)), msg); err != nil && !errors.Is(err, io.EOF) {
		return failure(err)
	}
	text, err := protojson.MarshalOptions{EmitUnpopulated: true}.Marshal(msg)
	if err != nil {
		panic(err)
	}
	return output{OK: json.RawMessage(text), Size: proto.Size(msg)}
}

func decodeInto(d *json.Decoder, msg proto.Message) error {
	var raw json.RawMessage
	if err := d.Decode(&raw); err != nil {
		return err
	}
	return protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(raw, msg)
}

// checkEndpoint does what Central does for one field tagged "nolocalendpoint".
func checkEndpoint(value string) error {
	rest := strings.TrimPrefix(strings.TrimPrefix(value, "http://"), "https://")
	parsed, err := url.Parse("http://" + rest)
	if err != nil {
		return err
	}
	if value == "" {
		return nil
	}
	host := parsed.Hostname()
	local := errors.New("endpoint cannot reference localhost")
	metadata := errors.New("endpoint cannot reference the cluster metadata service")
	if host == "localhost" {
		return local
	}
	if ip := net.ParseIP(host); ip != nil {
		if ip.IsLoopback() {
			return local
		}
		if ip.Equal(net.ParseIP("169.254.169.254")) {
			return metadata
		}
	}
	if host == "metadata.google.internal" {
		return metadata
	}
	return nil
}

// One field per line: label or type, name, number. The name of a message or
// enum starts with a dot; "oneof" puts the field into IntegrationConfig.
const definitions = `
message storage ImageIntegration
string id 1
string name 2
string type 3
repeated .storage.ImageIntegrationCategory categories 6
oneof .storage.ClairifyConfig clairify 8
oneof .storage.ScannerV4Config scanner_v4 23
oneof .storage.DockerConfig docker 9
oneof .storage.QuayConfig quay 10
oneof .storage.ECRConfig ecr 11
oneof .storage.GoogleConfig google 13
oneof .storage.ClairConfig clair 14
oneof .storage.ClairV4Config clair_v4 22
oneof .storage.IBMRegistryConfig ibm 20
oneof .storage.AzureConfig azure 24
bool autogenerated 15
string cluster_id 16
bool skip_test_integration 18
.storage.ImageIntegration.Source source 21
nested Source
string cluster_id 1
string namespace 2
string image_pull_secret_name 3
message storage IBMRegistryConfig
string endpoint 1
string api_key 2
message storage QuayConfig
string endpoint 1
string oauthToken 2
bool insecure 3
.storage.QuayConfig.RobotAccount registry_robot_credentials 4
nested RobotAccount
string username 1
string password 2
message storage ClairConfig
string endpoint 1
bool insecure 2
message storage ClairV4Config
string endpoint 1
bool insecure 2
message storage ClairifyConfig
string endpoint 1
string grpc_endpoint 3
int32 num_concurrent_scans 2
message storage DockerConfig
string endpoint 1
string username 2
string password 3
bool insecure 4
message storage ECRConfig
string registry_id 1
string access_key_id 2
string secret_access_key 3
string region 4
bool use_iam 5
string endpoint 6
bool use_assume_role 7
string assume_role_id 8
string assume_role_external_id 9
.storage.ECRConfig.AuthorizationData authorization_data 10
nested AuthorizationData
string username 1
string password 2
.google.protobuf.Timestamp expires_at 3
message storage GoogleConfig
string endpoint 1
string service_account 2
string project 3
bool wif_enabled 4
message storage ScannerV4Config
int32 num_concurrent_scans 1
string indexer_endpoint 2
string matcher_endpoint 3
message storage AzureConfig
string endpoint 1
string username 2
string password 3
bool wif_enabled 4
enum storage ImageIntegrationCategory
value REGISTRY 0
value SCANNER 1
value NODE_SCANNER 2
message v1 UpdateImageIntegrationRequest
.storage.ImageIntegration config 1
bool updatePassword 2
`

var files = load()

func load() *protoregistry.Files {
	storage := &descriptorpb.FileDescriptorProto{
		Name: proto.String("storage.proto"), Package: proto.String("storage"), Syntax: proto.String("proto3"),
		Dependency: []string{"google/protobuf/timestamp.proto"},
	}
	v1 := &descriptorpb.FileDescriptorProto{
		Name: proto.String("v1.proto"), Package: proto.String("v1"), Syntax: proto.String("proto3"),
		Dependency: []string{"storage.proto"},
	}
	packages := map[string]*descriptorpb.FileDescriptorProto{"storage": storage, "v1": v1}

	var outer, message *descriptorpb.DescriptorProto
	var enum *descriptorpb.EnumDescriptorProto
	for _, line := range strings.Split(strings.TrimSpace(definitions), "\n") {
		word := strings.Fields(line)
		switch word[0] {
		case "message":
			outer = &descriptorpb.DescriptorProto{Name: &word[2]}
			message = outer
			packages[word[1]].MessageType = append(packages[word[1]].MessageType, outer)
		case "nested":
			message = &descriptorpb.DescriptorProto{Name: &word[1]}
			outer.NestedType = append(outer.NestedType, message)
		case "enum":
			enum = &descriptorpb.EnumDescriptorProto{Name: &word[2]}
			packages[word[1]].EnumType = append(packages[word[1]].EnumType, enum)
		case "value":
			enum.Value = append(enum.Value, &descriptorpb.EnumValueDescriptorProto{
				Name: &word[1], Number: proto.Int32(number(word[2])),
			})
		default:
			message.Field = append(message.Field, field(message, word))
		}
	}

	registry := new(protoregistry.Files)
	timestamp, err := protoregistry.GlobalFiles.FindFileByPath("google/protobuf/timestamp.proto")
	must(err)
	must(registry.RegisterFile(timestamp))
	for _, file := range []*descriptorpb.FileDescriptorProto{storage, v1} {
		built, err := protodesc.NewFile(file, registry)
		must(err)
		must(registry.RegisterFile(built))
		registerTypes(built)
	}
	return registry
}

// registerTypes makes the types known globally, as generated code would: an
// unknown field named "[storage.DockerConfig]" is looked up there.
func registerTypes(file protoreflect.FileDescriptor) {
	var register func(protoreflect.MessageDescriptors)
	register = func(messages protoreflect.MessageDescriptors) {
		for i := range messages.Len() {
			must(protoregistry.GlobalTypes.RegisterMessage(dynamicpb.NewMessageType(messages.Get(i))))
			register(messages.Get(i).Messages())
		}
	}
	register(file.Messages())
	for i := range file.Enums().Len() {
		must(protoregistry.GlobalTypes.RegisterEnum(dynamicpb.NewEnumType(file.Enums().Get(i))))
	}
}

func field(message *descriptorpb.DescriptorProto, word []string) *descriptorpb.FieldDescriptorProto {
	f := &descriptorpb.FieldDescriptorProto{Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()}
	switch word[0] {
	case "repeated":
		f.Label = descriptorpb.FieldDescriptorProto_LABEL_REPEATED.Enum()
		word = word[1:]
	case "oneof":
		if message.OneofDecl == nil {
			message.OneofDecl = []*descriptorpb.OneofDescriptorProto{{Name: proto.String("IntegrationConfig")}}
		}
		f.OneofIndex = proto.Int32(0)
		word = word[1:]
	}
	f.Name, f.Number = &word[1], proto.Int32(number(word[2]))
	switch word[0] {
	case "string":
		f.Type = descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum()
	case "bool":
		f.Type = descriptorpb.FieldDescriptorProto_TYPE_BOOL.Enum()
	case "int32":
		f.Type = descriptorpb.FieldDescriptorProto_TYPE_INT32.Enum()
	case ".storage.ImageIntegrationCategory":
		f.Type = descriptorpb.FieldDescriptorProto_TYPE_ENUM.Enum()
		f.TypeName = &word[0]
	default:
		f.Type = descriptorpb.FieldDescriptorProto_TYPE_MESSAGE.Enum()
		f.TypeName = &word[0]
	}
	return f
}

func newMessage(name string) proto.Message {
	full := protoreflect.FullName("storage." + name)
	if name == "UpdateImageIntegrationRequest" {
		full = "v1.UpdateImageIntegrationRequest"
	}
	found, err := files.FindDescriptorByName(full)
	must(err)
	return dynamicpb.NewMessage(found.(protoreflect.MessageDescriptor))
}

func number(text string) int32 {
	n, err := strconv.Atoi(text)
	must(err)
	return int32(n)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	reader := bufio.NewReader(os.Stdin)
	writer := bufio.NewWriter(os.Stdout)
	defer writer.Flush()
	encoder := json.NewEncoder(writer)
	encoder.SetEscapeHTML(false)
	for {
		line, err := reader.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			var in input
			if err := json.Unmarshal(line, &in); err != nil {
				panic(fmt.Sprintf("bad input line: %v", err))
			}
			must(encoder.Encode(answer(&in)))
			must(writer.Flush())
		}
		if err == io.EOF {
			return
		}
		must(err)
	}
}
