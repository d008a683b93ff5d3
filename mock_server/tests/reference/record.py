#!/usr/bin/env python3
"""Build the inputs, ask the Go reference program, write the JSONL recordings.

Needs Go; the recordings themselves do not. Deterministic: the same program
versions give the same files.
"""

import base64
import json
import os
import random
import subprocess
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))

II = "ImageIntegration"
UP = "UpdateImageIntegrationRequest"


def as_bytes(text):
    return text if isinstance(text, bytes) else text.encode("utf-8")


def repeat(prefix, unit, times, suffix="", close="", end=""):
    """Stands for prefix + unit*times + suffix + close*times + end."""
    return {
        "prefix": prefix,
        "unit": unit,
        "times": times,
        "suffix": suffix,
        "close": close,
        "end": end,
    }


def decode_line(body, message=II):
    line = {"kind": "decode", "message": message}
    if isinstance(body, dict):
        line["repeat"] = body
        return line
    body = as_bytes(body)
    try:
        line["text"] = body.decode("utf-8")
    except UnicodeDecodeError:
        line["body"] = base64.b64encode(body).decode("ascii")
    return line


def value_line(kind, value):
    if isinstance(value, bytes):
        try:
            value = value.decode("utf-8")
        except UnicodeDecodeError:
            return {"kind": kind, "value_base64": base64.b64encode(value).decode("ascii")}
    return {"kind": kind, "value": value}


# --- decode -----------------------------------------------------------------

TOP_LEVEL = [
    "", " ", "\n", "\t\r\n ", "\x00", "\x0b", "\x0c", "\u00a0", "\ufeff", "\ufeff{}",
    "{}", " {}", "{ }", "{\n}", "\r\n{\r\n}\r\n", "\ufeff \n{}", "\u2028{}",
    "null", "true", "false", "0", "-1", "1.5", "1e5", '"x"', '""', "[]", "[{}]", "[1,2]",
    " null", "\n\nnull", "null ", "null null", "nullnull", "nul", "nulL", "NULL", "None", "undefined",
    "tru", "truE", "fals", "t", "f", "n", "-", "+1", "01", "1.", ".5", "1e", "1e+", "-a", "0x10", "NaN",
    "Infinity", "-Infinity", '"', '"x', "'x'", "'", "{", "[", "}", "]", ",", ":", "{]", "[}", "{}}", "{}]",
    "{},{}", "{} {}", "{}x", "{} trailing text", '{}{"name":"b"}', '{"name":"a"}{"name":"b"}',
    '{"name":"a"} \x00', '{"name":"a"}\xff', '{"name":"a"}//', '{"name":"a"};', "5x", "5 x", "true1", '"a"b',
    "[] []", "<xml/>", "a=b&c=d", "name: a", "--boundary", "\x1f\x8b\x08", "\\", "/", "//x\n{}", "/**/{}", "#{}",
    "(", "@", "~", "\u00e9", "\u65e5", "\U0001f600", "\x7f", "\x80",
]

SYNTAX = [
    '{"name"}', '{"name":}', '{"name":,}', '{"name" "a"}', '{"name"="a"}', '{"name":"a",}', '{"name":"a",,}',
    '{,"name":"a"}', '{,}', '{"name":"a" "type":"b"}', '{"name":"a"; "type":"b"}', "{name:\"a\"}", "{'name':'a'}",
    "{\"name\":'a'}", '{"name":a}', '{"name":"a"', '{"name":"a', '{"name":"', '{"name":', '{"name"', '{"name', '{"',
    '{"name":"a"]', '{"categories":[}', '{"categories":[1}', '{"categories":[1,]}', '{"categories":[,1]}',
    '{"categories":[1 2]}', '{"categories":[1,,2]}', '{"categories":["a":1]}', '{"categories":["REGISTRY"',
    '{"categories":["REGISTRY",', '{"categories":[', '{5:1}', '{null:1}', '{true:1}', '{[]:1}', '{{}:1}', '{"a"::1}',
    '{"name":"a"} // c', '{/*c*/"name":"a"}', '{"name":"a"/*c*/}', '{"name":"a"//c\n}', '{"name":"a",//c\n"type":"b"}',
    '{"name":tru}', '{"name":nul}', '{"name":falsy}', '{"name":nan}', '{"name":NaN}', '{"name":Infinity}',
    '{"name":-Infinity}', '{"name":-}', '{"name":--1}', '{"name":+1}', '{"name":01}', '{"name":-01}', '{"name":1.}',
    '{"name":.1}', '{"name":1.e1}', '{"name":1e}', '{"name":1e+}', '{"name":1e-}', '{"name":1e1.5}', '{"name":0x1}',
    '{"name":1_000}', '{"name":1,000}', '{"name":1a}', '{"name":1 a}', '{"name":True}', '{"name":null0}',
    '{"name":"a\nb"}', '{"name":"a\tb"}', '{"name":"a\rb"}', '{"name":"a\x00b"}', '{"name":"a\x1fb"}', '{"na\nme":1}',
    '{"name":"\\x41"}', '{"name":"\\\'"}', '{"name":"\\0"}', '{"name":"\\U0041"}', '{"name":"\\"}', '{"name":"\\',
    '{"name":"\\u"}', '{"name":"\\u0"}', '{"name":"\\u00"}', '{"name":"\\u004"}', '{"name":"\\u004g"}',
    '{"name":"\\ug041"}', '{"name":"\\u 041"}', '{"name":"\\u-041"}', '{"name":"\\u+041"}', '{"name":"\\u00_1"}',
    '{"name":"\\u\u00e9"}', '{"name":"\\\u00e9"}', '{"name":"\\\n"}', '{"name":"\\a"}', '{"name":"\\v"}',
    '{\u00a0"name":"a"}', '{"name"\u00a0:"a"}', '{\u201cname\u201d:"a"}', '{\x0c}', '{\x0b}', '{\x00}', '{\x7f}',
    '{"name":\u00e9}', '{"name":\U0001f600}', '{"name":"a"\u00e9}', '{\\"name\\":1}', '{"name":\\"a\\"}',
    '{"name":"a"}}', '{"name":{"a":1}', '{"name":[[]', '{"name":"a",', '{"name":"a", ', '{"name":"a"\n', '{"name" ',
    '{"name" :', '{"x":{"y":[1,{"z":2}]}', '{"x":"\\ud83d', '{"x":"\\ud83d\\', '{"x":"\\ud83d\\u', '{"x":"\\ud83d\\ude0',
    b'{"\xff":1}', b'{\xff}', b'{"name":\xff}', b'{"name":"a"\xff}', b'\xff', b'\xfe\xff\x00{', b'\xff\xfe{\x00}\x00',
    b'{"name":"\\\xff"}', b'{"name":1\xff}', b'{"name":t\xff}', b'{}\xff', b'\xef\xbb{}', b'{"name":"\\u00\xff0"}',
]

FIELDS = [
    # Names: both spellings, unknown ones, cases, escapes, extension names.
    '{"clusterId":"a"}', '{"cluster_id":"a"}', '{"skipTestIntegration":true}', '{"skip_test_integration":true}',
    '{"scannerV4":{}}', '{"scanner_v4":{}}', '{"clairV4":{}}', '{"clair_v4":{}}',
    '{"scannerV4":{"num_concurrent_scans":3,"indexer_endpoint":"i","matcher_endpoint":"m"}}',
    '{"clairify":{"grpc_endpoint":"g","num_concurrent_scans":2}}', '{"clairify":{"grpcEndpoint":"g","numConcurrentScans":2}}',
    '{"ecr":{"registry_id":"r","access_key_id":"a","secret_access_key":"s","use_iam":true,"use_assume_role":true,"assume_role_id":"i","assume_role_external_id":"e"}}',
    '{"ecr":{"registryId":"r","accessKeyId":"a","secretAccessKey":"s","useIam":true,"useAssumeRole":true,"assumeRoleId":"i","assumeRoleExternalId":"e"}}',
    '{"ecr":{"authorization_data":{"username":"u","password":"p","expires_at":"2020-01-02T03:04:05Z"}}}',
    '{"google":{"service_account":"s","project":"p","wif_enabled":true}}', '{"google":{"serviceAccount":"s","wifEnabled":true}}',
    '{"azure":{"wif_enabled":true}}', '{"ibm":{"api_key":"k"}}', '{"ibm":{"apiKey":"k"}}',
    '{"quay":{"oauthToken":"t"}}', '{"quay":{"oauth_token":"t"}}', '{"quay":{"registry_robot_credentials":{"username":"u","password":"p"}}}',
    '{"source":{"cluster_id":"c","namespace":"n","image_pull_secret_name":"s"}}', '{"source":{"clusterId":"c","imagePullSecretName":"s"}}',
    '{"Name":"a"}', '{"NAME":"a"}', '{"name ":"a"}', '{" name":"a"}', '{"":"a"}', '{"clusterID":"a"}', '{"ClusterId":"a"}',
    '{"integrationConfig":{"docker":{}}}', '{"IntegrationConfig":{}}', '{"IntegrationConfig":5}', '{"Docker":{}}', '{"1":"a"}',
    '{"na\\u006de":"a"}', '{"\\u006e\\u0061\\u006d\\u0065":"a"}', '{"name\\u0000":"a"}', '{"na\\/me":"a"}', '{"cluster\\u005fid":"a"}',
    '{"clusters":[]}', '{"x":null}', '{"x":{"name":"a","name":"b"}}', '{"x":1,"x":2}', '{"x":[1,"a",null,true,{},[]]}',
    '{"x":1e999999}', '{"x":-0}', '{"x":"\\ud800"}', '{"x":"\\ud800a"}', '{"\\ud800":1}', '{"\\ud800 abcdef":1}', '{"x":{"\\udc00 abcdef":1}}',
    '{"docker":{"x":1}}', '{"docker":{"docker":{}}}', '{"docker":{"name":"a"}}', '{"source":{"x":{}}}', '{"@type":"a"}',
    '{"@type":"type.googleapis.com/storage.ImageIntegration","name":"a"}', '{"$schema":"x","name":"a"}', '{"__proto__":{}}',
    '{"[ext.name]":1}', '{"[]":1}', '{"[a":1}', '{"a]":1}', '{"[a b]":1}', '{"[.]":{}}', '{"[google.protobuf.Timestamp]":1}',
    '{"[storage.DockerConfig]":1}', '{"[storage.ImageIntegration.Source]":{}}', '{"[storage.ImageIntegrationCategory]":1}',
    '{"[storage.Unknown]":1}', '{ "x":1,\n "[storage.QuayConfig]":1}', '{"docker":{"[storage.QuayConfig]":1}}', '{"[\\u0073torage.QuayConfig]":1}',
    '{"[v1.UpdateImageIntegrationRequest]":null}', '{"[name]":"a"}', '{"[ext.name]":1,"[ext.name]":2}',
    # Duplicates.
    '{"name":"a","name":"b"}', '{"name":"a","name":"a"}', '{"name":null,"name":"a"}', '{"name":"a","name":null}', '{"name":null,"name":null}',
    '{"clusterId":"a","cluster_id":"b"}', '{"cluster_id":"a","clusterId":"b"}', '{"cluster_id":null,"clusterId":null}',
    '{"skipTestIntegration":true,"skip_test_integration":true}', '{"categories":[],"categories":[]}', '{"categories":null,"categories":[]}',
    '{"docker":{},"docker":{}}', '{"docker":null,"docker":{}}', '{"docker":{},"docker":null}', '{"scannerV4":{},"scanner_v4":{}}',
    '{"scanner_v4":null,"scannerV4":null}', '{"name":"a","na\\u006de":"b"}', '{"na\\u006de":"a","name":"b"}', '{"name":"a","Name":"b"}',
    '{"docker":{"endpoint":"a","endpoint":"b"}}', '{"ecr":{"useIam":true,"use_iam":false}}', '{"source":{},"source":{}}',
    '{"source":{"clusterId":"a","cluster_id":"b"}}', '{"name":"a",\n  "name":"b"}', '{"name":"\u00e9", "name":"b"}', '{"name":"\U0001f600\u65e5", "name":"b"}',
    '{"name":"a","type":"t","name":5}', '{"name":"a","name":{}}', '{"name":5,"name":"a"}',
    '{"ecr":{"authorizationData":{"expiresAt":null,"expires_at":"2020-01-01T00:00:00Z"}}}',
    # One config member at most.
    '{"docker":{},"quay":{}}', '{"quay":{},"docker":{}}', '{"docker":null,"quay":{}}', '{"docker":{},"quay":null}', '{"docker":null,"quay":null}',
    '{"docker":{},"quay":5}', '{"docker":5,"quay":{}}', '{"docker":{},\n"scanner_v4":{}}', '{"docker":{},"scannerV4":{}}', '{"docker":{},"clair\\u0056\\u0034":{}}',
    '{"clairify":{},"scannerV4":{},"docker":{}}', '{"azure":null,"google":null,"ibm":{"apiKey":"k"},"ecr":null}', '{"docker":{},"name":"a","clair":{}}',
    '{"docker":{"endpoint":"a"},"quay":{"endpoint":5}}', '{"quay":{},"quay":{},"docker":{}}', '{"docker":null,"quay":{},"docker":null}',
    # null everywhere.
    '{"id":null,"name":null,"type":null,"categories":null,"autogenerated":null,"clusterId":null,"skipTestIntegration":null,"source":null}',
    '{"clairify":null,"scannerV4":null,"docker":null,"quay":null,"ecr":null,"google":null,"clair":null,"clairV4":null,"ibm":null,"azure":null}',
    '{"docker":{"endpoint":null,"username":null,"password":null,"insecure":null}}', '{"quay":{"registryRobotCredentials":null}}',
    '{"quay":{"registryRobotCredentials":{}}}', '{"quay":{"registryRobotCredentials":{"username":null}}}', '{"ecr":{"authorizationData":null}}',
    '{"ecr":{"authorizationData":{}}}', '{"ecr":{"authorizationData":{"expiresAt":null}}}', '{"source":{}}', '{"source":{"namespace":null}}',
    '{"scannerV4":{"numConcurrentScans":null}}', '{"google":{}}', '{"ibm":{}}', '{"azure":{}}', '{"clair":{}}', '{"ecr":{}}', '{"docker":{}}',
    # Wrong kinds.
    '{"docker":"x"}', '{"docker":""}', '{"docker":[]}', '{"docker":[{}]}', '{"docker":5}', '{"docker":true}', '{"docker":-1.5e3}', '{"source":"x"}', '{"source":[]}',
    '{"source":false}', '{"quay":{"registryRobotCredentials":"u"}}', '{"quay":{"registryRobotCredentials":[]}}', '{"ecr":{"authorizationData":1}}',
    '{"categories":"REGISTRY"}', '{"categories":0}', '{"categories":{}}', '{"categories":true}', '{"categories":{"0":"REGISTRY"}}', '{"categories":""}',
    '{"docker":{"password":5}}', '{"docker":{"password":{}}}', '{"docker":{"endpoint":["a"]}}', '{"name":"a"\n,\n\n   "type":5}', '{\r\n"name":5}', '{\r"name":5}', '{\t"name":\t5}',
    # Kitchen sinks.
    '{"id":"i","name":"n","type":"docker","categories":["REGISTRY","SCANNER"],"docker":{"endpoint":"e","username":"u","password":"p","insecure":true},"autogenerated":true,"clusterId":"c","skipTestIntegration":true,"source":{"clusterId":"c","namespace":"n","imagePullSecretName":"s"}}',
    ' {\n "name" : "a" ,\r\n\t"docker" : { "endpoint" : "e" , "insecure" : true } , "categories" : [ 0 , "SCANNER" ] } ',
]

UPDATES = [
    "{}", "null", "[]", '"x"', '{"config":null}', '{"config":{}}', '{"config":{"name":"a"},"updatePassword":true}', '{"update_password":true}',
    '{"updatePassword":false}', '{"updatePassword":null}', '{"updatePassword":"true"}', '{"updatePassword":1}', '{"UpdatePassword":true}', '{"config":[]}',
    '{"config":"x"}', '{"config":5}', '{"config":{"name":5}}', '{"config":{"docker":{},"quay":{}}}', '{"config":{"docker":{"endpoint":"e"}}}', '{"config":{},"config":{}}',
    '{"config":null,"config":{}}', '{"Config":{}}', '{"name":"a"}', '{"config":{"config":{}}}', '{"updatePassword":true,"updatePassword":true}', '{"config":{"docker":"x"}}',
    '{"config":{"categories":["BOGUS","REGISTRY"]}}', '{"config":{"categories":[null]}}', '{\n  "config": {\n    "name": "a",\n    "quay": {\n      "insecure": 1\n    }\n  }\n}',
    '{"config":{"ecr":{"authorizationData":{"expiresAt":"x"}}}}', '{"config":{"scannerV4":{"numConcurrentScans":"5"}},"updatePassword":true}', '{"config":{"id":"a"},"updatePassword":true,}',
]

STRINGS = [
    '""', '"a"', '" a "', '"\\""', '"\\\\"', '"\\/"', '"/"', '"\\b\\f\\n\\r\\t"', '"\\u0041"', '"\\u00e9"', '"\u00e9"', '"\\u00E9"', '"\\u65e5\u672c"', '"\U0001f600"',
    '"\\ud83d\\ude00"', '"\\uD83D\\uDE00"', '"\\ud83d\\ude00\\ud83d\\ude00"', '"\\ud83d"', '"\\ude00"', '"\\ud83dabcdef"', '"abc\\ud83d def"', '"\\ud83d\\u0041"', '"\\ud83d\\ud83d"',
    '"\\ude00\\ud83d"', '"\\ude00abcdef"', '"\\ud83d\\n2345"', '"\\ud83d\\ude0"', '"\\ud83d/ude00"', '"\\ud83duXde00"', '"\\ud83d\\U0000"', '"\\udbff\\udfff"', '"\\ud800\\udc00"', '"\\udfff\\udbff"',
    '"\\ud83d","x":"\\ude00"', '"\\ud800\u00e9\u00e9\u00e9"', '"\\ud800\\\\ude00"', '"\\ud800\\""', '"\\ud800\\"12345"', '"\\ud800\n"',
    '"\\u0000"', '"a\\u0000b"', '"\\u0001\\u001f\\u007f"', '"\x7f"', '"\\u0080\\u009f"', '"\x80\x9f"', '"\u2028\u2029"', '"\\u2028"', '"\\ufeff"', '"\ufeff"', '"\\ufffd"', '"\ufffd"', '"\\uffff\\ufffe"', '"\uffff"',
    '"<>&"', '"\\u003c\\u003e\\u0026"', '"\'"', '"\\u0027"', '"null"', '"{}"', '"//"', '"a\\nb"', '"\u0301e"', '"\u202e"', '"\\u202e\\u200b"', '"\U0010ffff"', '"\\udbff\\udffe"',
    '5', '-5', '5.5', '1e5', '0', 'true', 'false', 'null', '{}', '[]', '["a"]', '{"a":"b"}', ' "a"', ' 5', '\n5', '12345678901234567890123456789012345678901234567890',
    b'"\xff"', b'"a\xff"', b'"\xc3"', b'"\xc3("', b'"\xe2\x82"', b'"\xe2\x28\xa1"', b'"\xf0\x9f\x98"', b'"\xf0\x9f\x98\x80\xff"', b'"\xed\xa0\x80"', b'"\xed\xb0\x80"', b'"\xed\xa0\xbd\xed\xb8\x80"',
    b'"\xc0\x80"', b'"\xc1\xbf"', b'"\xe0\x80\x80"', b'"\xf0\x80\x80\x80"', b'"\xf4\x8f\xbf\xbf"', b'"\xf4\x90\x80\x80"', b'"\xf5\x80\x80\x80"', b'"\xf8\x88\x80\x80\x80"', b'"\x80"', b'"\xbf"', b'"\xef\xbf\xbd"',
    b'"\\u0041\xff"', b'"\\n\xc3\xa9\xff"', b'"\\ud83d\xff\xff\xff\xff\xff\xff"', b'"caf\xe9"', b'"\xfe\xff"',
]

INTS = [
    "0", "-0", "5", "-5", "+5", "05", "-05", "00", "5.0", "5.00", "5.5", "-5.0", "-0.0", "0.0", "0e0", "0e5", "0e999999999", "0e99999999999", "0e-5", "0.0e1", "1e0", "1e1", "1E1", "1e+1", "1e2", "1e9", "2e9", "3e9", "1e10",
    "1e19", "1e20", "1e21", "1e-1", "10e-1", "100e-2", "105e-1", "10e-2", "1.50e1", "1.5e1", "1.5e0", "15e-1", "1.05e1", "1.0e-1", "10.0e-1", "1.000e2", "1.23e2", "1.234e2", "0.5e1", "0.05e2", "0.05e1", "-1.5e1", "-10e-1",
    "2147483647", "2147483648", "-2147483648", "-2147483649", "2147483647.0", "2147483648.0", "4294967295", "4294967296", "9223372036854775807", "9223372036854775808", "99999999999999999999", "214748364700e-2", "2147483.647e3",
    "2147483.648e3", "1e2147483647", "1e2147483648", "1e-2147483648", "1e-2147483649", "1e999999999999", "1e-999999999999", "0.1e1", "0.10e1", "1e01", "1e-01", "1e00", "1e+00", "1.e1", ".5", "5.", "1e", "1e+", "1e-", "e1", "-", "--5", "1.0",
    "1.5", "1_0", "1,0", "0x5", "0X5", "0b1", "0o7", "5a", "5 ", "5,", "5 6", "5\t", "true", "null", "nan", "NaN", "Infinity", "-Infinity", "1e1e1", "1.1.1", "5-", "5+1", "\u0665", "\uff15", "5\u00a0", "00000000000000000000000000000000000000005",
    "0.00000000000000000000000000000000000000000", "5.00000000000000000000000000000000000000000", "50000000000000000000000000000000000000000e-40",
]

INT_TEXTS = [
    '""', '" 5"', '" "', '"5\\n"', '"\\u00a05"', '"\\u0035"', '"5\\u0020"', '"5\\u0000"', '"[5]"', '"[5"', '"5]"', '"5}"', '"{}"', '"["', '"\\"5\\""', '"\\"a\\""', '"5:"', '"5,6"', '"5/"', '"5 /**/"', '"\\u20285"',
    '"5\\u0085"', '"\\ud83d\\ude00"', '"\\ud800"', "[]", "[5]", "{}", "true", "false", '"five"', '" 5 "', '"\\t5"', '"5\\r"', '",5"', '"5,,"', '":5"', '"t"', '"tru"', '"n"', '"+"',
]

ENUMS = [
    "[]", '["REGISTRY"]', '["SCANNER"]', '["NODE_SCANNER"]', '["REGISTRY","SCANNER","NODE_SCANNER"]', '["REGISTRY","REGISTRY"]', '["registry"]', '["Registry"]', '["BOGUS"]', '["BOGUS","SCANNER"]', '["SCANNER","BOGUS"]', '[""]',
    '[" REGISTRY"]', '["REGISTRY "]', '["nodeScanner"]', '["ImageIntegrationCategory.SCANNER"]', '["0"]', '["1"]', '["1.0"]', '["7"]', "[0]", "[1]", "[2]", "[3]", "[7]", "[0,1,2]", "[-1]", "[-0]", "[1.0]", "[1e0]", "[10e-1]", "[0.1e1]", "[1.5]",
    "[1e1]", "[1e-1]", "[2147483647]", "[2147483648]", "[-2147483648]", "[-2147483649]", "[1e999]", "[1e99999999999]", "[null]", '["REGISTRY",null]', '[null,"REGISTRY"]', "[true]", "[false]", "[{}]", "[[]]", '[["REGISTRY"]]', '[{"name":"a"}]',
    '["\\u0053CANNER"]', '["REGISTRY\\u0000"]', '["\\ud800"]', '["\\ud800 abcdef"]', '[1,"SCANNER",7,"x",2]', "[0,0,0]", "null", "[ ]", "[\n1\n,\nnull]", "[128]", "[300,70000,20000000]", '["R\u00c9GISTRY"]',
]

BOOLS = ["true", "false", "null", '"true"', '"false"', '""', "0", "1", "-1", "1.0", "{}", "[]", "[true]", '"\\u0074rue"', "True", "TRUE", "tru", "truee", "true ", "\ttrue", "yes", '"yes"', '"\u00e9"', '"a\\"b"']

TIMES = """
2020-01-02T03:04:05Z|2020-01-02T03:04:05+00:00|2020-01-02T03:04:05-00:00|2020-01-02T03:04:05+01:00|2020-01-02T03:04:05-01:00|2020-01-02T03:04:05+05:45
2020-01-02T03:04:05.1Z|2020-01-02T03:04:05.12Z|2020-01-02T03:04:05.123Z|2020-01-02T03:04:05.1234Z|2020-01-02T03:04:05.12345Z|2020-01-02T03:04:05.123456Z
2020-01-02T03:04:05.1234567Z|2020-01-02T03:04:05.123456789Z|2020-01-02T03:04:05.1234567891Z|2020-01-02T03:04:05.0000000000Z|2020-01-02T03:04:05.Z|2020-01-02T03:04:05.0Z
2020-01-02T03:04:05.000000001Z|2020-01-02T03:04:05.100Z|2020-01-02T03:04:05.100000Z|2020-01-02T03:04:05,5Z|2020-01-02T03:04:05,123456789Z|2020-01-02T03:04:05,1234567891Z
2020-01-02T03:04:05,12345678912345Z|2020-01-02T03:04:05,Z|2020-01-02T03:04:05.5+01:00|2020-01-02T03:04:05.1234567891+01:00|2020-01-02T03:04:05.123456789-01:00|2020-01-02T03:04:05,1234567891-01:00
2020-01-02T03:04:05,5.5Z|2020-01-02T03:04:05.5,5Z|2020-01-02T03:04:05.-5Z|2020-01-02T03:04:05.5|2020-01-02T03:04:05.5 Z|2020-01-02T03:04:05.5z
2020-01-02T3:04:05Z|2020-01-02T03:4:05Z|2020-01-02T03:04:5Z|2020-1-02T03:04:05Z|2020-01-2T03:04:05Z|20-01-02T03:04:05Z|02020-01-02T03:04:05Z|2020-01-02T003:04:05Z|2020-01-02T0:04:05Z|2020-01-02T9:59:59.5Z
2020-01-02T03:04:05|2020-01-02T03:04:05 Z|2020-01-02 03:04:05Z|2020-01-02t03:04:05Z|2020-01-02T03:04:05z|2020-01-02t03:04:05z|2020-01-02|2020-01-02T|2020-01-02T03:04Z|2020-01-02T03Z|03:04:05Z
 2020-01-02T03:04:05Z|2020-01-02T03:04:05Z |2020-01-02T03:04:05ZZ|2020-01-02T03:04:05Zx|x2020-01-02T03:04:05Z|20200102T030405Z|2020/01/02T03:04:05Z|2020-01-02T03.04.05Z|2020-01-02T03:04:05 +00:00
2020-01-02T03:04:05+0100|2020-01-02T03:04:05+01|2020-01-02T03:04:05+1:00|2020-01-02T03:04:05+01:0|2020-01-02T03:04:05+01:000|2020-01-02T03:04:05+14:00|2020-01-02T03:04:05-12:00|2020-01-02T03:04:05+15:00
2020-01-02T03:04:05+23:59|2020-01-02T03:04:05-23:59|2020-01-02T03:04:05+24:00|2020-01-02T03:04:05-24:00|2020-01-02T03:04:05+24:59|2020-01-02T03:04:05+25:00|2020-01-02T03:04:05+14:60|2020-01-02T03:04:05+00:60|2020-01-02T03:04:05+00:61
2020-01-02T03:04:05+24:60|2020-01-02T03:04:05+99:99|2020-01-02T03:04:05Z+01:00|2020-01-02T03:04:05+01:00Z|2020-01-02T03:04:05UTC|2020-01-02T03:04:05+aa:00|2020-01-02T03:04:05+01;00|2020-01-02T03:04:05+|2020-01-02T03:04:05-
2016-12-31T23:59:60Z|2016-12-31T23:59:59.999999999Z|2020-01-02T23:60:00Z|2020-01-02T24:00:00Z|2020-01-02T24:00:01Z|2020-01-02T25:00:00Z|2020-01-02T23:59:61Z|2020-01-02T00:00:00Z
2020-00-02T03:04:05Z|2020-13-02T03:04:05Z|2020-01-00T03:04:05Z|2020-01-31T03:04:05Z|2020-01-32T03:04:05Z|2020-02-29T03:04:05Z|2020-02-30T03:04:05Z|2021-02-28T03:04:05Z|2021-02-29T03:04:05Z|2020-04-30T03:04:05Z|2020-04-31T03:04:05Z
1900-02-29T00:00:00Z|2000-02-29T00:00:00Z|2100-02-29T00:00:00Z|2400-02-29T00:00:00Z|2020-06-31T00:00:00Z|2020-09-31T00:00:00Z|2020-11-31T00:00:00Z|2020-12-31T00:00:00Z
0000-01-01T00:00:00Z|0000-02-29T00:00:00Z|0000-12-31T23:59:59Z|0000-12-31T23:59:59-00:01|0000-12-31T23:59:59.999999999Z|0000-12-31T23:00:00-01:00|0001-01-01T00:00:00Z|0001-01-01T00:00:00.000000001Z|0001-01-01T00:00:00+00:01|0001-01-01T00:00:00-00:01
0001-01-01T23:59:59+24:00|0001-01-02T00:00:00+24:00|9999-12-31T23:59:59Z|9999-12-31T23:59:59.999999999Z|9999-12-31T23:59:59-00:01|9999-12-31T23:59:59+00:01|9999-12-31T23:59:59.999999999-00:01|9999-12-31T00:00:00-24:00|10000-01-01T00:00:00Z|99999-01-01T00:00:00Z
-001-01-01T00:00:00Z|+2020-01-02T03:04:05Z|1969-12-31T23:59:59.5Z|1970-01-01T00:00:00Z|1969-12-31T23:59:59Z|1970-01-01T01:00:00+01:00|1970-01-01T00:00:00.5Z|2038-01-19T03:14:08Z
||now|0|1577934245|Thu, 02 Jan 2020 03:04:05 GMT|2020-W01-4T03:04:05Z|2020-002T03:04:05Z|2020-01-02T03:04:05.1234567890123456789Z|2020-01-02T+3:04:05Z|2020-01-02T-3:04:05Z|2020-01-02T 3:04:05Z|2020-01-02T03:04:05.99999999999Z
2020-01-02T03:04:05\\u005a|2020-01-02T03:04:05\\u002b01:00|\\u0032020-01-02T03:04:05Z|2020-01-02T03:04:05Z\\u0000|2020-01-02T03:04:05Z\\n|2020-01-02T03:04:05\u2212 01:00|2020-01-02T03:04:05\u221201:00|\uff12020-01-02T03:04:05Z|\u00e9|a\\"b|\\ud800 abcdef
2020-01-02T1a:04:05Z|2020-01-02T03:04:0aZ|2a20-01-02T03:04:05Z|2020-1a-02T03:04:05Z|2020-01-0aT03:04:05Z|2020-01-02T03:04:05.5aZ|2020-01-02T03:04:05.aZ|2020-01-02T:04:05Z|2020-01-02T03::05Z|2020-01-02T03:04:Z|2020-01-02T03:04:+01:00
"""

TIME_VALUES = ["5", "1577934245", "{}", "[]", "true", '{"seconds":5,"nanos":0}', "null", "1.5", " \"2020-01-02T03:04:05Z\""]

POSITIONS = [
    '{"name":5}', ' {"name":5}', '\n{"name":5}', '\n\n  {"name":5}', '{\n"name":5}', '{\n\n"name":\n5}', '{"name":\n\n\n   5}', '{"type":"\u00e9\u00e9","name":5}', '{"type":"\U0001f600","name":5}', '{"type":"\\u00e9","name":5}',
    '{"type":"e\u0301","name":5}', '{"type":"\\n","name":5}', '{\r\n"name":5}', '{"x":"\u65e5\u672c\u8a9e",\n"y":"\u65e5","name":5}', '{"docker":\n{"insecure":\n"x"}}', '{"docker":{"endpoint":"e"},\n\t"docker":{}}', '{"docker":{},\n\n  "quay":{}}',
    '{"x":\n[\n1,\n2\n],\n"name":5}', '{"name":"a\\ud800 abcdef"}', '{\n"name":"abc\\ud800 abcdef"}', '{\n "name": "abc\\udc00 abcdef"}', '{\n "x": ["abc\\udc00 abcdef"]}', '{"\u65e5":1,"name":{}}', '\ufeff{"name":5}', '{"name":\u00a05}',
    '{"name":5}\n', '\t\t{"name":[]}', '{"categories":[\n"REGISTRY",\n"X",\nnull\n]}', '\n5', '  [', '  []', '\n\n"x"', ' true', '{"name"\n:\n5}', '{"name" :5}', '{"name"  \t: 5 }', '{"a":"\u2028","name":5}', '{"a":"\x85","name":5}',
    b'{"x":1,\n "name":"a\xff"}', b'{"x":"\xc3\xa9","name":"a\xff"}', b'\n\n {"name":"\xff"}', b'{"\xff\n":1}', b'{"x":1,\n"\xff":1}', b'{"x":["\xff"]}',
]

# Any of the bytes of these is cut off and substituted.
CUT = [
    b'{"name":"a\\u00e9","categories":["SCANNER",1],"quay":{"insecure":true}}',
    b' {"config":{"scannerV4":{"numConcurrentScans":-1.5e2}},"updatePassword":null} ',
    '{"x\u00e9":[false,{}],"\\ud83d\\ude00":"\U0001f600"}'.encode(),
]
SUBSTITUTE = [
    (b'{"name":"b","categories":[0,"X"]}', b'"\\{},:0'),
    (b'{"clair":{"insecure":true,"x":-1.2e3}}', b'}]"a\n-'),
    (b'[null,"\\u12aF"]', b'"\x00x '),
]

VALID = [
    (II, '{"name":"n","type":"docker","categories":["REGISTRY"],"docker":{"endpoint":"e","insecure":true}}'),
    (II, '{"id":"","quay":{"endpoint":"q","oauthToken":"t","registryRobotCredentials":{"username":"u","password":"p"}},"categories":[0,1]}'),
    (II, '{"ecr":{"registryId":"r","useIam":true,"authorizationData":{"expiresAt":"2020-01-02T03:04:05.5Z"}},"clusterId":"c"}'),
    (II, '{"scanner_v4":{"num_concurrent_scans":"1e1","indexerEndpoint":"i"},"skip_test_integration":true,"source":null}'),
    (II, '{"clairify":{"endpoint":"e","grpcEndpoint":"g","numConcurrentScans":12.0},"x":[1,{"y":null}],"name":"\\u00e9\\ud83d\\ude00"}'),
    (UP, '{"config":{"google":{"serviceAccount":"s","wifEnabled":false},"name":"n"},"updatePassword":true}'),
    (UP, '{"config":{"azure":{"username":"u"},"source":{"namespace":"n"}},"updatePassword":false}'),
]


def nesting():
    for n in (9998, 9999, 10000, 10001):
        yield repeat("", "[", n, "", "]")
        yield repeat("", '{"x":', n, "1", "}")
        yield repeat('{"x":', "[", n, "", "]", "}")
        yield repeat('{"x":', "[", n, "1", "]", ',"name":"a"}')
        yield repeat('{"x":', '{"a":', n, "null", "}", "}")
        yield repeat('{"docker":{"x":', "[", n, "", "]", "}}")
        yield repeat('{"x":', "[", n)
        yield repeat('{"x":', '{"a":', n)
        yield repeat('{"name":5,"x":', "[", n, "", "]", "}")
        yield repeat('{"name":', "[", n, "", "]", "}")
        yield repeat('{"categories":[', "[", n, "", "]", "]}")
        yield repeat("\n", "[", n, "x")
    for n in (4999, 5000, 5001):
        yield repeat('{"x":', '[{"a":', n, "1", "}]", "}")
        yield repeat("", '[{"a":', n, "1", "}]")
    yield repeat("", "[", 100000)
    yield repeat("", "[", 20000, "", "]")
    yield repeat("", " ", 100000, '{"name":5}')
    yield repeat("{", "\n", 70000, '"name":5}')
    yield repeat('{"x":"', "\u00e9", 40000, '","name":5}')
    yield repeat('{"x":[1', ",1", 50000, '],"name":5}')
    yield repeat('{"x":"', "\\ud83d\\ude00", 20000, '"}')
    yield repeat("{", '"x":1,', 20000, '"name":"a"}')


def mutated(rng, text):
    body = bytearray(as_bytes(text))
    pieces = [
        b"null", b"true", b"{}", b"[]", b'""', b'"x"', b"5", b"1e3", b"-", b"0", b".5", b"\\", b'"', b",", b":", b"{", b"}", b"[", b"]",
        b"\n", b" ", b"\t", b"\\u0041", b"\\ud800", b"\xff", b"\xc3\xa9", b'"name":"z",', b'"docker":{},', b'"quay":null,', b"//", b"'", b"\x00",
        b'"REGISTRY"', b"2147483648", b"e", b"E+1", b"_", b"A",
    ]
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3))):
        at = rng.randrange(len(body))
        kind = rng.randrange(6)
        if kind == 0:
            del body[at : at + rng.randrange(1, 4)]
        elif kind == 1:
            body[at:at] = rng.choice(pieces)
        elif kind == 2:
            body[at : at + 1] = rng.choice(pieces)
        elif kind == 3:
            end = min(len(body), at + rng.randrange(1, 24))
            body[at:at] = body[at:end]
        elif kind == 4 and at + 1 < len(body):
            body[at], body[at + 1] = body[at + 1], body[at]
        else:
            body[at] ^= 1 << rng.randrange(8)
        if not body:
            break
    return bytes(body)


def swapped(rng, text):
    """A body that stays JSON: one value replaced by another."""
    values = [
        None, True, False, 0, 5, -1, 2147483648, 1.5, "", "x", "5", "REGISTRY", "2020-01-02T03:04:05Z", [], {}, [None], [1, "SCANNER"], ["x"],
        {"endpoint": "e"}, {"insecure": True}, {"name": 5}, "\u00e9\n\"",
    ]
    tree = json.loads(text)
    spots = []

    def walk(node):
        for key in node if isinstance(node, dict) else range(len(node)):
            spots.append((node, key))
            if isinstance(node[key], (dict, list)):
                walk(node[key])

    walk(tree)
    for _ in range(rng.choice((1, 1, 2))):
        node, key = rng.choice(spots)
        node[key] = rng.choice(values)
    indent = rng.choice((None, None, 1, 2))
    return json.dumps(tree, ensure_ascii=rng.random() < 0.5, indent=indent)


def decode_inputs():
    def within(prefix, values, suffix):
        for value in values:
            yield decode_line(as_bytes(prefix) + as_bytes(value) + as_bytes(suffix))

    for body in TOP_LEVEL + SYNTAX + FIELDS + POSITIONS:
        yield decode_line(body)
    for body in UPDATES:
        yield decode_line(body, UP)
    yield from within('{"name":', STRINGS, "}")
    yield from within('{"scannerV4":{"numConcurrentScans":', INTS, "}}")
    yield from within('{"clairify":{"numConcurrentScans":"', INTS, '"}}')
    yield from within('{"scannerV4":{"numConcurrentScans":', INT_TEXTS, "}}")
    yield from within('{"categories":', ENUMS, "}")
    yield from within('{"skipTestIntegration":', BOOLS, "}")
    yield from within('{"ecr":{"useIam":', BOOLS[:12], "}}")
    yield from within('{"ecr":{"authorizationData":{"expiresAt":"', [t for row in TIMES.strip("\n").split("\n") for t in row.split("|")], '"}}}')
    yield from within('{"ecr":{"authorizationData":{"expiresAt":', TIME_VALUES, "}}}")
    for body in nesting():
        yield decode_line(body)
    for body in CUT:
        message = UP if b"config" in body else II
        for end in range(len(body)):
            yield decode_line(body[:end], message)
    for body, replacements in SUBSTITUTE:
        for at in range(len(body)):
            for byte in replacements:
                yield decode_line(body[:at] + bytes([byte]) + body[at + 1 :])
    rng = random.Random(20260801)
    for _ in range(160):
        message, text = rng.choice(VALID)
        yield decode_line(mutated(rng, text), message)
    for _ in range(70):
        message, text = rng.choice(VALID)
        yield decode_line(swapped(rng, text), message)


# --- endpoint ---------------------------------------------------------------

HOSTS = """
localhost LOCALHOST Localhost localhost. localhost.localdomain local localhosts sub.localhost 127.0.0.1 127.0.0.2 127.1 127.255.255.255 127.0.0.256 127.0.0.01 0127.0.0.1 0x7f.0.0.1 2130706433 0.0.0.0
128.0.0.1 126.255.255.255 169.254.169.254 169.254.169.253 169.254.169.254. 0169.254.169.254 metadata.google.internal Metadata.google.internal metadata.google.internal. x.metadata.google.internal metadata
[::1] [0:0:0:0:0:0:0:1] [0000:0000:0000:0000:0000:0000:0000:0001] [::0001] [::2] [::] [::ffff:127.0.0.1] [::FFFF:127.0.0.1] [::ffff:7f00:1] [::127.0.0.1] [::ffff:169.254.169.254] [::ffff:a9fe:a9fe] [0:0:0:0:0:ffff:127.0.0.1]
[::ffff:127.0.0.01] [::ffff:1.2.3.4] [fe80::1] [fe80::1%25eth0] [fe80::1%eth0] [::1%25lo] [::1%25] [::1%] [::1%2525] [::1%25a%20b] [::1%25%zz] [::1%25%41] [2001:db8::1] [fd00:ec2::254] [1.2.3.4] [127.0.0.1] [localhost] [] [:] [::1 ::1] [::1]]
[[::1]] [::1]x [x::1] [:::1] [1::2::3] [12345::] [::g] [::1]. x[::1] ::1 fe80::1 2001:db8::1 ::ffff:127.0.0.1 0:0:0:0:0:0:0:1 [ ] quay.io Quay.IO quay.io. .quay.io a..b -a.b a_b a-b 1 1.2.3.4 1.2.3 1.2.3.4.5 xn--nxasmq6b
""".split()

ENDPOINTS = [
    "", " ", "http://", "https://", "http:", "http:/", "https:/", "//", "///", "/", "?", "#", ":", "@", "%", "http://http://localhost", "https://https://localhost", "http://https://localhost", "https://http://localhost",
    "HTTP://localhost", "Http://localhost", "HTTPS://localhost", "http://HTTP://localhost", "ftp://localhost", "tcp://127.0.0.1:80", "grpc://a", "http:localhost", "http:///localhost", "//localhost", "///localhost", "/localhost", "http:// localhost",
    " http://localhost", "http://localhost ", "localhost ", " localhost", "localhost\n", "\tlocalhost", "localhost\x00", "http://http://http://localhost", "https://http://https://localhost", "http://https://http://localhost", "http://http://https://localhost",
    "localhost:80", "localhost:", "localhost:x", "localhost:80x", "localhost:-1", "localhost:+1", "localhost:99999", "localhost:0", "localhost:00080", "localhost:80:90", "localhost::80", "localhost::", "localhost:80/", "localhost:/", "localhost:x/", "localhost: 80",
    "localhost:8 0", "localhost:%38", "localhost:\u0661", "localhost:80?a", "localhost:80#a", ":80", ":", "::", ":x", ":80:90", "quay.io:80:90", "quay.io:", "quay.io:x", "quay.io:443", "quay.io:http", "quay.io:443443443443443443443", "quay.io:443/a:b", "quay.io/a:b",
    "quay.io:4a3", "quay.io:443:", "quay.io:\u00e9", 'quay.io:"', "quay.io:\\", "quay.io: ", "quay.io:%", "quay.io:%zz", "[::1]:80", "[::1]:", "[::1]:x", "[::1]:80:90", "[::1]80", "[::1]::80", "[::1]:80/x", "[::2]:x", "[::1%25lo]:80", "[fe80::1%25lo]:x",
    "user@localhost", "user:pass@localhost", "user:pass@127.0.0.1:80", ":@localhost", "@localhost", "user:@localhost", ":pass@localhost", "a@b@localhost", "localhost@quay.io", "localhost:80@quay.io", "us er@localhost", "us%20er@localhost", "us%zzer@localhost", "us%@localhost",
    "us\u00e9r@localhost", "user:p:w@localhost", "user:p%41@quay.io", "user:p%4@quay.io", "user:p<w@quay.io", "user:p[w@quay.io", "us/er@localhost", "us?er@localhost", "us#er@localhost", "user:pass@", "@", "@@", "@:80", "user@:80", "user@[::1]", "user@[::1", "user@::1", "user:\x01@quay.io",
    "user\\@localhost", "us\"er@localhost", "us;er@localhost", "us&er=+$,@quay.io", "us!er@localhost", "us~er*()'@localhost", "us^er@localhost", "us|er@localhost", "us`er@localhost", "us{er}@localhost", "localhost/@quay.io", "localhost?@quay.io", "localhost#@quay.io", "localhost\\@quay.io", "localhost%40quay.io",
    "local%68ost", "%6cocalhost", "localhos%74", "127%2e0.0.1", "quay%2Eio", "quay%20io", "quay%00io", "quay%25io", "quay%zzio", "quay%", "quay%4", "quay%zz", "qu%C3%A9y.io", "qu%c3%a9y.io", "qu%C3y.io", "qu%FFy", "qu%80", "qu%7Fy", "%E6%97%A5%E6%9C%AC", "%3A80", "quay.io%3A80", "quay.io%2Fa", "%5B::1%5D",
    "quay.io/%41", "quay.io/%zz", "quay.io/%", "quay.io/%4", "quay.io/%4g", "quay.io/a%", "quay.io/%25", "quay.io/%00", "quay.io/%%41", "quay.io/%\u00e9", "quay.io/%C3%28", "quay.io/a b", "quay.io/\u00e9", "quay.io/a?b%zz", "quay.io/a?%", "quay.io/a#%", "quay.io/a#%zz", "quay.io/a#%41", "quay.io/?a=b&c", "quay.io/?a b", "quay.io/#a b",
    "quay.io#%zz", "quay.io?%zz", "quay.io?a?b#c#d", "quay.io/#\u00e9", "localhost/a/b", "localhost/%zz", "localhost?a", "localhost#a", "localhost#%zz", "localhost\\a", "localhost;a", "localhost,a", "localhost&a", "/quay.io", "//quay.io", "quay.io//a", "quay.io/../localhost", "quay.io/http://localhost", "quay.io/https://localhost", "..", ".",
    "qu\u00e4y.io", "\u65e5\u672c.example", "\uff4cocalhost", "loc\u0430lhost", "\U0001f600.io", "\ufeffquay.io", "quay.io\u3002", "quay.io\u2028", "quay\u00a0io", "127.0.0.1\u3002", "\uff11\uff12\uff17.0.0.1", "\u2460.0.0.1", "quay.io/\ufffd", "quay.io/\x7f", "quay.io\x7f", "\x80", "[\u00e9]", "[::1%25\u00e9]",
    '"quay.io"', "'quay.io'", "<quay.io>", "quay.io<script>", "quay.io>", '"', "\\", "\\\\localhost", "quay.io\\a", "quay.io|a", "quay.io^", "quay.io`", "{quay.io}", "${HOST}", "{{ host }}", "*.quay.io", "quay.io!", "quay.io$", "(quay.io)", "a=b", "a+b", "a~b", "a;b", "a,b", "a&b", "a'b",
    "quay.io\r\nHost: x", "quay.io/\n", "quay.io/\x00", "\r", "\n", "\x1f", "quay.io/a\tb", "quay.io/?a\nb", "quay.io/#a\nb", "quay.io:443\n", "user\n@quay.io", "\\n", "a" * 300, "a." * 400 + "io", "quay.io/" + "b" * 500, "a" * 200 + ":x", "%zz" * 50, "[" + ":" * 100 + "]", "http://" + "c" * 250 + " d",
    "registry-1.docker.io", "https://quay.io", "https://us-docker.pkg.dev/a/b", "http://scanner.stackrox.svc:8080", "scanner.stackrox.svc:8443", "https://123456789012.dkr.ecr.us-east-1.amazonaws.com", "dns:///scanner:8443", "unix:///var/run/x.sock", "passthrough:///localhost:80", "mailto:a@b", "javascript:alert(1)",
]


def endpoint_inputs():
    for value in ENDPOINTS + HOSTS:
        yield value_line("endpoint", value)
    for code in list(range(0, 128)):
        if not chr(code).isalnum():
            yield value_line("endpoint", "qu" + chr(code) + "ay")
    for char in "\x00\x1f \"#%&'()*+,;<=>?@[\\]^`{|}~\x7f\u00e9":
        yield value_line("endpoint", "quay.io/a" + char + "b")
        yield value_line("endpoint", "[::2" + char + "]")
    rng = random.Random(20260802)
    parts = ["http://", "https://", "localhost", "127.0.0.1", "[::1]", "quay.io", ":", "80", "@", "/", "?", "#", "%", "%zz", "%41", " ", "[", "]", "user", "\\", "\u00e9", '"', "<", "::1", ".", "\n"]
    for _ in range(110):
        yield value_line("endpoint", "".join(rng.choice(parts) for _ in range(rng.randrange(2, 7))))


# --- quote, json, query -----------------------------------------------------

QUOTES = [
    "", "a", "a b", "image integration", '"', '""', "'", "`", "\\", "\\\\", "\\n", "/", "<>&", "%", "%s", "\a\b\f\n\r\t\v", "\x00", "\x01\x1f", "\x1b[0m", "\x7f", "\x80", "\x85", "\x9f", "\u00a0", "\u00ad", "\u00e9", "\u00c9t\u00e9",
    "e\u0301", "\u0301", "\u0378", "\u0600", "\u061c", "\u1680", "\u180e", "\u2000\u2003", "\u200b", "\u200d", "\u2028\u2029", "\u202e", "\u202f", "\u2060", "\u3000", "\u65e5\u672c\u8a9e", "\ud7ff", "\ue000", "\uf8ff", "\ufeff", "\ufffd", "\ufffe\uffff",
    "\ufdd0", "\U0001f600", "\U0001f468\u200d\U0001f469", "\U0001fae8", "\U00010000", "\U000e0001", "\U000e0100", "\U000f0000", "\U0010ffff", "\u05d0", "\u0e33", "\u20ac", "\u2424", "\uffa0", "\u3164", "\u115f", "\u00ff\u0100", "a\x00b\u00e9\"\\\n",
    b"\xff", b"a\xffb", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82",
]

JSONS = [
    "", " ", "\n", "{}", "[]", "null", "true", "false", "5", '"x"', '""', "{", "}", "[", "]", "x", "service_account", "\x00", "\ufeff{}", "\u00e9", '{"type":"service_account"}', '{"type":""}', '{"type":null}', '{"type":5}', '{"type":-1.5e3}', '{"type":true}', '{"type":{}}', '{"type":[]}', '{"type":["a"]}',
    '{"type":{"a":1}}', '{"Type":"a"}', '{"TYPE":"a"}', '{"tYpE":"a"}', '{"type":"a","type":"b"}', '{"type":"a","Type":"b"}', '{"Type":"a","type":"b"}', '{"type":"a","type":null}', '{"type":5,"type":"a"}', '{"type":"a","type":5}', '{"type":null,"TYPE":"a"}', '{"x":1}', '{"type ":"a"}', '{"":"a"}',
    '{"t\\u0079pe":"a"}', '{"\\u0054YPE":"a"}', '{"type":"\\u0061"}', '{"type":"\\ud800"}', '{"type":"\\ud800a"}', '{"type":"\\udc00"}', '{"type":"\\ud83d\\ude00"}', '{"type":"\\ud83d\\u0041"}', '{"type":"\\ud83d\\ud83d\\ude00"}', '{"type":"\u00e9\U0001f600"}', '{"type":"\\n\\t\\"\\\\\\/\\b\\f\\r"}', '{"type":"\\u0000"}',
    '{"type":"a\nb"}', '{"type":"a\tb"}', '{"type":"a\x00"}', '{"type":"\\x"}', '{"type":"\\u12"}', '{"type":"\\u12g4"}', '{"type":"a"} ', ' {"type":"a"}', '{"type":"a"}x', '{"type":"a"}{}', '{"type":"a"} {}', '{"type":"a"},', '{"type":"a",}', '{"type":"a"', '{"type":"a', '{"type":', '{"type"', '{"typ', '{"type":a}',
    "{'type':'a'}", "{type:1}", '{"type" "a"}', '{"type"="a"}', '{"type":"a" "b":1}', '{"type":01}', '{"type":1.}', '{"type":.5}', '{"type":+1}', '{"type":1e}', '{"type":1e+}', '{"type":-}', '{"type":-a}', '{"type":tru}', '{"type":nul}', '{"type":falze}', '{"type":NaN}', '{"type":1e999}', '{"type":12345678901234567890}',
    '[{"type":"a"}]', '["a"]', '[1,2', "[1,]", "[,]", '"{\\"type\\":\\"a\\"}"', "5x", "5 5", "1.5", "-0", "-", "nul", "nulx", "truex", '"abc', '"a\\', '"a\\u00', "// c\n{}", "/**/{}", "{//c\n}", "#", "<a/>", "---\ntype: a", '{"type":"a"}\x00', '{"type":"a"}\u00a0', '{\u00a0}', '{"type":"a"}\r\n\t ', '{"x":{"type":"a"}}',
    '{"x":{"type":5},"type":"a"}', '{"x":[1,{"y":null}],"type":"a"}', '{"type":"a","x":}', '{"type":5,"x":}', '{"type":5}x', '{"\u017fype":"a"}', '{"t\u0443pe":"a"}', '{"\u212a":1,"type":"a"}', '{"type":"service_account","project_id":"p","private_key":"-----BEGIN\\n"}', '{"type":"external_account"}', '{"type":"authorized_user"}', "******",
    "{\n  \"type\": \"service_account\",\n  \"client_email\": \"a@b\"\n}\n", '{"type":"\\u003c"}', '{"type":"<>&"}', '{"type":"\u2028"}', '{\n\n"type":\n5\n}', '{"type":"a"]', "[}", "{]", '{"a":[}', '{"a":[1 2]}', '{"a":{"b":1]}', "{,}", '{"a"::1}', "{5:1}", '{"a":1,5}', '{"a":1,,}', "\\", "'", "`", "~", "\x7f", "\x1b", "\U0001f600", "[\u65e5]",
]

QUERIES = [
    "", "&", "&&", "=", "==", "a", "a=", "=b", "a=b", "a=b=c", "a&b", "a=1&b=2", "a=1&a=2", "a=2&a=1&b=3", "a=1&&b=2", "&a=1&", "a=%zz", "%zz", "%zz=1", "a=%", "%", "a=%4", "a=%41", "%61=b", "a=%2", "a=%g0&b=1", "a=1&b=%zz&c=%yy", "a;b", "a=1;b=2",
    "a=1&b;c&d=2", ";", "a=%3B", "a=b;", "a=%zz&b;c", "b;c&a=%zz", "a=+", "a=b+c", "a=%2B", "a+b=c", "+=+", "a= b", "a=%20b", "a=\u00e9", "a=%C3%A9", "a=%c3%a9", "a=%FF", "a=%00", "a=\x01", "a=b#c", "a=b?c", "?a=b", "/a=b", "a=b/c", "name=x", "name=a&name=b",
    "name=%22quoted%22", "cluster=remote&name=x", "pretty", "pretty=", "pretty=true", "Name=x", "name=%", "name=%zz", "name=x&cluster=%zz", "name=a%26b%3Dc", "name=a&name=%zz", "a=%\u00e9", "a=%e", "a=%%", "a=%25zz", "a=%u0041", "a[]=1&a[]=2", "a.b=1", "name=<x>",
    "\u65e5=\u672c", "a=1\nb=2", "a=%0a", "filter.name=x", "name", "name&name", "name=&name=",
]


GOOGLE_FIELDS = [
    "type", "client_email", "private_key_id", "private_key", "auth_uri", "token_uri", "project_id", "universe_domain", "client_secret",
    "client_id", "refresh_token", "audience", "subject_token_type", "token_url", "token_info_url", "service_account_impersonation_url",
    "service_account_impersonation", "delegates", "credential_source", "quota_project_id", "workforce_pool_user_project", "revoke_url", "source_credentials",
]

GOOGLE = [
    *JSONS,
    '{"type":"authorized_user"}', '{"type":"SERVICE_ACCOUNT"}', '{"type":"gdch_service_account"}', '{"type":"x","client_email":5}', '{"client_email":5,"type":[]}',
    '{"type":"service_account","client_email":null}', '{"type":"service_account","unknown":5}', '{"Client_Email":5}', '{"\u017fubject_token_type":5}', '{"\u212aey":1}',
    '{"type":"service_account","private_key":"x","client_email":"e"}', '{"type":"service_account", "delegates" : [ "a" , "b" ] , "credential_source" : { "a" : 1 } }',
    '{"type":"external_account","audience":"a"}', '{"type":"external_account","subject_token_type":"s"}', '{"type":"external_account","audience":"a","subject_token_type":"s"}',
    '{"type":"external_account","audience":"","subject_token_type":""}', '{"type":"external_account","audience":"a","subject_token_type":"s","workforce_pool_user_project":"p"}',
    '{"type":"external_account","audience":"//iam.googleapis.com/locations/global/workforcePools/p/providers/q","subject_token_type":"s","workforce_pool_user_project":"p"}',
    '{"type":"external_account_authorized_user"}', '{"type":"external_account_authorized_user","refresh_token":"r","token_url":"t","client_id":"c","client_secret":"s"}',
    '{"type":"external_account_authorized_user","refresh_token":"r","token_url":"","client_id":"c","client_secret":"s"}', '{"type":"impersonated_service_account"}',
    '{"type":"impersonated_service_account","service_account_impersonation_url":"u"}', '{"type":"impersonated_service_account","source_credentials":{"type":"service_account"}}',
    '{"type":"impersonated_service_account","service_account_impersonation_url":"u","source_credentials":{"type":"service_account"}}',
    '{"type":"impersonated_service_account","service_account_impersonation_url":"u","source_credentials":null}',
    *('{"%s":%s}' % (field, value) for field in GOOGLE_FIELDS for value in ("5", "true", "null", "[]", "{}", '"x"')),
]


def distinct(lines):
    seen = set()
    for line in lines:
        text = json.dumps(line)
        if text not in seen:
            seen.add(text)
            yield line


def record(program, name, lines):
    lines = list(distinct(lines))
    asked = "".join(json.dumps(line) + "\n" for line in lines)
    done = subprocess.run([program], input=asked.encode("ascii"), stdout=subprocess.PIPE, check=True)
    answers = [json.loads(line) for line in done.stdout.decode("utf-8").split("\n") if line]
    if len(answers) != len(lines):
        raise SystemExit(f"{name}: {len(lines)} questions, {len(answers)} answers")
    path = os.path.join(HERE, name)
    with open(path, "w", encoding="ascii", newline="\n") as out:
        for line, answer in zip(lines, answers):
            out.write(json.dumps({"input": line, "output": answer}, separators=(",", ":")) + "\n")
    print(f"{name}: {len(lines)} lines, {os.path.getsize(path)} bytes")


def main():
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "reference")
        subprocess.run(["go", "build", "-o", program, "."], cwd=HERE, check=True)
        record(program, "wire.jsonl", decode_inputs())
        record(program, "endpoints.jsonl", endpoint_inputs())
        record(program, "quotes.jsonl", (value_line("quote", v) for v in QUOTES))
        record(program, "json.jsonl", (value_line("json", v) for v in JSONS))
        record(program, "google.jsonl", (value_line("google", v) for v in GOOGLE))
        record(program, "queries.jsonl", (value_line("query", v) for v in QUERIES))


if __name__ == "__main__":
    main()
