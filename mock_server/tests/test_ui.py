"""A built UI, served from the origin of the API."""

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from mock_server.cli.main import main
from mock_server.settings import Settings
from mock_server.tests.conftest import PATH, Api, ask

PAGE = b"<!doctype html><title>The UI</title>"
SECRET = b"not for everyone"


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    top = tmp_path_factory.mktemp("served")
    (top / "secret.txt").write_bytes(SECRET)
    folder = top / "build"
    (folder / "static").mkdir(parents=True)
    (folder / "index.html").write_bytes(PAGE)
    (folder / "favicon.ico").write_bytes(b"icon")
    for name in ("index-BzIy__D0.js", "index-a1B2c3D4.css", "logo-a1B2c3D4.svg", "font.woff2", "plain.js", "map.json"):
        (folder / "static" / name).write_bytes(name.encode())
    return folder


@pytest.fixture(scope="module")
def site(build):
    return Api(ui=build, control=True, companions=True).app


@pytest.mark.parametrize(
    ("path", "type"),
    [
        ("/static/index-BzIy__D0.js", {"text/javascript", "application/javascript"}),
        ("/static/index-a1B2c3D4.css", {"text/css"}),
        ("/static/logo-a1B2c3D4.svg", {"image/svg+xml"}),
        ("/static/map.json", {"application/json"}),
        ("/favicon.ico", {"image/vnd.microsoft.icon"}),
        ("/index.html", {"text/html"}),
        ("/", {"text/html"}),
    ],
)
def test_a_file_has_the_type_that_browsers_insist_on(site, path, type):
    answer = ask(site, "GET", path)
    assert answer.status == 200
    assert answer.headers["content-type"].partition(";")[0] in type
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/", "/main/integrations", "/main/a/edit/10.0", "/login", "/v1x", "/x/"])
def test_every_page_is_the_index(site, path):
    answer = ask(site, "GET", path)
    assert (answer.status, answer.body) == (200, PAGE)
    assert answer.headers["cache-control"] == "no-store, no-cache"
    assert answer.headers["content-security-policy"] == "frame-ancestors 'self'"


def test_only_files_with_a_hash_in_their_name_are_cached(site):
    assert ask(site, "GET", "/static/index-BzIy__D0.js").headers["cache-control"] == "public, max-age=31536000"
    plain = ask(site, "GET", "/static/plain.js")
    assert plain.headers["cache-control"] == "no-cache"
    again = ask(site, "GET", "/static/plain.js", headers={"If-None-Match": plain.headers["etag"]})
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize(("path", "target"), [("/main//x", "/main/x"), ("/main/./x/", "/main/x/"), ("/v1", "/v1/")])
def test_an_unclean_path_is_redirected_before_the_ui(site, path, target):
    answer = ask(site, "GET", path)
    assert (answer.status, answer.headers["location"]) == (307, target)


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", ["/v1/", "/v1/nothing", "/v2/x", "/api/x", "/sso/x/y", "/docs/x"])
def test_a_path_that_is_not_a_page_is_a_json_404(site, path, method):
    answer = ask(site, method, path)
    assert (answer.status, answer.json["code"], answer.message) == (404, 5, "Not Found")
    assert answer.headers["content-type"] == "application/json"


def test_a_missing_file_is_gos_404(site):
    answer = ask(site, "GET", "/static/x.js")
    assert (answer.status, answer.body) == (404, b"404 page not found\n")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_a_page_accepts_only_get_and_head(site, method):
    assert ask(site, method, "/main/integrations").status == 404


def test_the_head_of_a_page_has_no_body(site):
    answer = ask(site, "HEAD", "/main/integrations")
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", str(len(PAGE)))


def test_the_api_answers_beside_the_ui(site):
    assert len(ask(site, "GET", PATH).json["integrations"]) == 12
    assert ask(site, "GET", "/__admin/health").status == 200
    assert ask(site, "GET", "/v1/ping").json == {"status": "ok"}


PIECES = ["..", ".", "", "%2e%2e", "%2f", "..%2f", "%5c", "..%5c", "secret.txt", "build", "static", "%00", "~", "C:"]


@given(st.lists(st.sampled_from(PIECES), max_size=8))
def test_nothing_outside_the_folder_is_served(site, pieces):
    for path in ("/" + "/".join(pieces), "/static/" + "/".join(pieces), "//" + "/".join(pieces)):
        answer = ask(site, "GET", path)
        assert answer.status in (200, 307, 404)
        if answer.status == 307:
            target = answer.headers["location"]
            assert target.startswith("/")
            assert not target.startswith("//"), "another host"
            answer = ask(site, "GET", target)
            assert answer.status in (200, 404)
        assert answer.body != SECRET


def test_a_folder_that_is_not_a_build_is_reported_at_startup(tmp_path):
    with pytest.raises(ValueError, match=r"has no index\.html; give the folder of a production build"):
        Settings(ui=tmp_path)
    result = CliRunner().invoke(main, ["serve", "--ui", str(tmp_path)])
    assert result.exit_code == 2
    assert f"{tmp_path} has no index.html" in result.output.splitlines()[-1]


SOURCES = {
    "vite": '<script type="module" src="/src/index.tsx"></script>',
    "template": '<link href="%PUBLIC_URL%/favicon.ico">',
    "a script that is not there": "<script defer src=static/index-a1B2c3D4.js></script>",
}


@pytest.mark.parametrize("page", SOURCES.values(), ids=SOURCES.keys())
def test_a_folder_of_sources_is_refused_with_the_reason(tmp_path, page):
    (tmp_path / "index.html").write_text(page)
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "index.tsx").write_text("source")
    with pytest.raises(ValueError, match=r"(is a template|is source code|is not in the folder).*production build"):
        Settings(ui=tmp_path)


def test_a_build_is_accepted(tmp_path):
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "index-a1B2c3D4.js").write_text("x")
    (tmp_path / "index.html").write_text(
        '<script type="module" crossorigin src="/static/index-a1B2c3D4.js"></script><script>inline</script>'
        '<script src="https://cdn.example/x.js"></script>'
        '<!-- %PUBLIC_URL% was replaced; <script src="/src/index.tsx"></script> too -->'  # as in the build of StackRox
    )
    assert Settings(ui=tmp_path).ui == tmp_path


@pytest.mark.parametrize("path", ["/" + "a" * 300, "/static/" + "a" * 300, "/" + "a/" * 3000, "/a%00b"])
def test_a_path_that_cannot_be_a_file_is_a_page_or_not_found(build, path):
    answer = ask(Api(ui=build, fatal_answers=False).app, "GET", path)
    assert answer.status == (404 if path.startswith("/static") else 200)


def test_links_to_the_outside_and_hidden_files_are_not_served(tmp_path):
    outside, folder = tmp_path / "outside", tmp_path / "build"
    (outside / "deep").mkdir(parents=True)
    folder.mkdir()
    (outside / "secret.txt").write_bytes(SECRET)
    (outside / "deep" / "secret.txt").write_bytes(SECRET)
    (folder / "index.html").write_bytes(PAGE)
    (folder / ".env").write_bytes(SECRET)
    (folder / ".well-known").mkdir()
    (folder / ".well-known" / "x").write_bytes(b"public")
    (folder / "file.txt").symlink_to(outside / "secret.txt")
    (folder / "folder").symlink_to(outside / "deep")
    (folder / "inside.html").symlink_to(folder / "index.html")
    (tmp_path / "link").symlink_to(folder)
    for ui in (folder, tmp_path / "link"):
        app = Api(ui=ui).app
        for path in ("/file.txt", "/folder/secret.txt", "/.env", "/folder/../file.txt"):
            assert ask(app, "GET", path).body != SECRET
        assert ask(app, "GET", "/inside.html").body == PAGE
        assert ask(app, "GET", "/.well-known/x").body == b"public"
