import http.client
import json
import os
import threading
import urllib.parse

import pytest

from wrp_jax.reporting.clips import Clip, FrameRow, clip_script
from wrp_jax.reporting.index_page import index_page
from wrp_jax.reporting.server import ReportServer
from wrp_jax.types import UserError

PNG = b"\x89PNG\r\n\x1a\n" + b"rest"


def make_output(root, name="OUT", miou=71.25):
    out = root / name
    video = root / "D # 1" / "a b" / "frames"
    for folder in (out / "a b" / "labels", out / ".windows", video):
        folder.mkdir(parents=True, exist_ok=True)
    (video / "0.png").write_bytes(PNG)
    (video / "1.png").write_text("no picture")
    (root / "D # 1" / "secret.txt").write_text("secret")
    (out / "a b" / "labels" / "é 0.png").write_bytes(PNG)
    (out / ".windows" / "0.npz").write_bytes(b"0")
    (out / "run.json").write_text("{}")
    (out / "notes.txt").write_text("private")
    rows = tuple(FrameRow("a b", n, False, 0.5, picture=video / f"{n}.png") for n in ("0", "1"))
    (out / "a b" / "frames.js").write_text(clip_script(Clip("a b", rows), out))
    line = {"sequence": "a b", "frames": 2, "doubtful": 1, "confidence": [50.0, 50.0]}
    data = json.dumps({"clips": [line]})
    (out / "report.html").write_text(
        f'<title>{name}</title><script type="application/json" id="report-data">{data}</script>'
    )
    metrics = {"method": "static", "frames": 2, "methods": {"static": {"mean": miou}},
               "notes": ["mind <this>"]}  # fmt: skip
    (out / "metrics.json").write_text(json.dumps(metrics))
    return out


@pytest.fixture
def serve():
    started = []

    def start(*outputs):
        server = ReportServer(outputs, 0)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        started.append(server)

        def get(path, method="GET", **headers):
            connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            body = answer.read()
            connection.close()
            return answer.status, body, answer.headers

        return get

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


def test_it_serves_what_a_report_is_made_of(tmp_path, serve):
    get = serve(make_output(tmp_path))
    status, body, headers = get("/")
    assert status == 200 and b"<title>OUT</title>" in body
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    label = f"/a%20b/labels/{urllib.parse.quote('é 0.png')}"
    assert get(label)[:2] == (200, PNG) and get(label)[2]["Content-Type"] == "image/png"
    assert get("/a%20b/frames.js?again")[0] == 200
    assert get(label, "HEAD")[:2] == (200, b"")
    mark = get(label)[2]["ETag"]
    assert get(label, **{"If-None-Match": mark})[:2] == (304, b"")
    assert get(label, "POST")[0] == 501


def test_frames_of_the_video_and_nothing_else_of_it(tmp_path, serve):
    get = serve(make_output(tmp_path))
    assert get("/a%20b/.video/0")[:2] == (200, PNG)
    assert get("/a%20b/.video/1")[0] == 404  # no picture, whatever it is called
    for path in ("/a%20b/.video/2", "/a%20b/.video/..%2Fsecret.txt", "/no/.video/0", "/.video/0"):
        assert get(path)[0] == 404, path
    # The output was moved: by its address.
    moved = tmp_path / "far" / "away" / "OUT"
    moved.parent.mkdir(parents=True)
    (tmp_path / "OUT").rename(moved)
    assert serve(moved)("/a%20b/.video/0")[:2] == (200, PNG)


def test_no_way_leads_out(tmp_path, serve):
    out = make_output(tmp_path)
    (tmp_path / "outside.png").write_bytes(PNG)
    (out / "a b" / "labels" / "link.png").symlink_to(tmp_path / "outside.png")
    (out / "a b" / "linked").symlink_to(tmp_path)
    os.mkfifo(out / "pipe.png")
    get = serve(out)
    for path in (
        "/../outside.png", "/%2e%2e/outside.png", "/a%20b/../../outside.png", "//etc/passwd",
        "/..%2foutside.png", "/..%5coutside.png", "/a%20b/labels/link.png", "/pipe.png",
        "/a%20b/linked/outside.png", "/.windows/0.npz", "/notes.txt", "/.records.jsonl",
        "/a%20b", "/a%20b/", "/%00.png", "outside.png", "/a%20b/labels/%ff.png", "/x" * 2000,
    ):  # fmt: skip
        assert get(path)[0] == 404, path


def test_other_sites_may_not_ask(tmp_path, serve):
    get = serve(make_output(tmp_path))
    assert get("/", Host="evil.example")[0] == 403
    assert get("/", Host="")[0] == 403


def test_several_outputs_have_an_index(tmp_path, serve):
    outs = [make_output(tmp_path, name, miou) for name, miou in (("A", 71.25), ("B<b>", 80.5))]
    (outs[1] / "metrics.json").write_text("{")
    get = serve(*outs)
    page = get("/")[1].decode()
    assert page == index_page([out.absolute() for out in outs])
    assert 'href="1/"' in page and "71.2" in page and "mind &lt;this&gt;" in page
    assert "B&lt;b&gt;" in page and "metrics.json cannot be read" in page
    assert b"<title>A</title>" in get("/1/")[1] and get("/2/a%20b/.video/0")[0] == 200
    status, _, headers = get("/2?again")  # a browser asks for the rest below the folder
    assert (status, headers["Location"]) == (301, "/2/")
    for path in ("/3/", "/0/", "/01/", "/3", "/1/1", "/x/", "/report.html"):
        assert get(path)[0] == 404, path


def test_what_cannot_be_served_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match=r"nothing has no report\.html"):
        ReportServer([tmp_path / "nothing"], 0)
    out = make_output(tmp_path)
    with ReportServer([out], 0) as server:
        assert server.server_address[0] == "127.0.0.1"
        with pytest.raises(UserError, match=f"--port={server.server_port} cannot be used"):
            ReportServer([out], server.server_port)
    with pytest.raises(UserError, match="--port=70000 cannot be used"):
        ReportServer([out], 70000)
