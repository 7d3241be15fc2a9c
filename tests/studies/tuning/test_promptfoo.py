"""The export for promptfoo: its real template engine renders back the very prompts that the target was sent."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from elicit.tuning.protocol import Input, fill
from studies.reporting.exports import export
from studies.reporting.prompt_exports import escape_text, template, variables
from tests.studies.tuning import parity

Render = Callable[[str, dict[str, str]], dict[str, str]]

PIECES = ["{{", "}}", "{%", "%}", "{#", "#}", "{", "}", "{{{", "{input}", "{{input}}", "{{ deal }}", "{% raw %}", "\n"]
PIECES += ["{% endraw %}", "{% if x %}", "{% for x in y %}", "{# note #}", "{{ env.HOME }}", "{{-", "-%}", "file://a"]
PIECES += ["package:a", "\\", '"', "'", " ", "word", "größe", "| e", "{{ '", "{{ 7 * 7 }}", "{{ input | upper }}"]
texts = st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=8).map("".join)
FIELDS = (("input",), ("review",), ("context", "input"), ("in", "true"), ("film review", "1", "_x"), ("größe",))


@pytest.fixture(scope="module")
def render(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Render]:
    """A process that renders as promptfoo does."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("no node here")
    folder = tmp_path_factory.mktemp("nunjucks")
    try:
        subprocess.run(
            ["npm", "install", "--silent", "--no-audit", "--no-fund", "nunjucks"],
            cwd=folder,
            check=True,
            capture_output=True,
            timeout=120,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        pytest.skip("npm gives no nunjucks here")
    script = Path(__file__).parent / "rendering.js"
    environ = os.environ | {"NODE_PATH": str(folder / "node_modules")}
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "encoding": "utf-8"}
    with subprocess.Popen(["node", str(script)], env=environ, **pipes) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def answer(raw: str, values: dict[str, str]) -> dict[str, str]:
            process.stdin.write(json.dumps({"raw": raw, "vars": values}) + "\n")
            process.stdin.flush()
            found: dict[str, str] = json.loads(process.stdout.readline())
            return found

        yield answer
        process.stdin.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(FIELDS), st.data())
def test_what_the_target_was_sent_is_what_promptfoo_renders(
    render: Render, fields: tuple[str, ...], data: st.DataObject
) -> None:
    places = st.sampled_from([f"{{{name}}}" for name in fields])
    prompt = "".join(data.draw(st.lists(texts | places, max_size=6)))
    one = Input("i", {name: data.draw(texts) for name in fields})
    names = variables(fields)
    values = {names[name]: escape_text(value) for name, value in one.fields.items()}
    assert render(template(prompt, names), values) == {"text": fill(prompt, one)}


@pytest.mark.parametrize("prompt", ['{"text": "{input}"}', '"{input}"', '[1, "{input}"]', "42", "{}"])
def test_a_prompt_that_is_json_is_no_exception(render: Render, prompt: str) -> None:
    one = Input("i", {"input": "{{deal}} {% if x %}"})
    values = {"input": escape_text(one.fields["input"])}
    assert render(template(prompt, variables(("input",))), values) == {"text": fill(prompt, one)}


def test_the_configuration_of_a_study(render: Render, tmp_path: Path) -> None:
    texts = ['Reply as {"label": "{{odd}}"} {# so #}: {input}', "{% raw %} or not? {input}", "No place at all {%"]
    given = [Input(f"i{n}", {"input": f"{n} {{{{deal}}}} {{% sadly %}} {{# really #}}\n"}, "odd {%") for n in range(9)]
    target = {"endpoint": "http://127.0.0.1:9/v1", "model": "m", "key": "MY_KEY", "parameters": {"top_p": 0.5}}
    with parity.tuned(tmp_path / "s", texts, given, target=target) as study:
        export(study, str(tmp_path / "x.yaml"), table="promptfoo")
        best, first = study.engine.best(), study.state.items[0].text
        config = json.loads((tmp_path / "x.yaml").read_text())
        for raw, text in zip(config["prompts"], (study.state.items[best].text, first), strict=False):
            for test, one in zip(config["tests"], study.state.inputs, strict=True):
                assert render(raw["raw"], test["vars"]) == {"text": fill(text, one)}
                assert render(test["assert"][0]["value"], {}) == {"text": "odd {%"}


@pytest.mark.parametrize(
    ("target", "config"),
    [
        (
            {"api": "openai", "key": "MY_KEY"},
            {"apiBaseUrl": "https://example.org/v1", "apiKeyEnvar": "MY_KEY", "max_tokens": 512, "temperature": 0.0},
        ),
        ({"api": "openai", "max_tokens": 9, "temperature": 1.0},
         {"apiBaseUrl": "https://example.org/v1", "apiKeyRequired": False, "max_tokens": 9, "temperature": 1.0}),
        ({"api": "openai", "parameters": {"top_p": 0.5}},
         {"apiBaseUrl": "https://example.org/v1", "apiKeyRequired": False, "max_tokens": 512, "temperature": 0.0,
          "passthrough": {"top_p": 0.5}}),
        ({"api": "anthropic", "key": "MY_KEY", "parameters": {"top_k": 5}},
         {"apiBaseUrl": "https://example.org", "apiKey": "{{ env.MY_KEY }}", "max_tokens": 512, "temperature": 0.0,
          "extra_body": {"top_k": 5}}),
    ],
)  # fmt: skip
def test_the_endpoint_is_kept_without_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: dict[str, Any], config: dict[str, Any]
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-secret")
    whole = {"endpoint": "https://example.org/v1", "model": "m", **target}
    with parity.tuned(tmp_path / "s", target=whole) as study:
        export(study, str(tmp_path / "x.yaml"), table="promptfoo")
    text = (tmp_path / "x.yaml").read_text()
    provider = json.loads(text)["providers"][0]
    assert provider["config"] == config
    assert provider["id"] == ("openai:chat:m" if target["api"] == "openai" else "anthropic:messages:m")
    assert "sk-secret" not in text
