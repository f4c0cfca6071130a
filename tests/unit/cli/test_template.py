"""Templates of job files, as Go's text/template fills them in."""

import pytest

from bacalhau.cli.spec.template import fill_template, template_values
from bacalhau.lib.errors import BadRequest

VALUES = {"greeting": "Hello", "name": "World", "start-time": "-5m", "empty": ""}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("no action", "no action"),
        ("{{.greeting}} {{ .name }}!", "Hello World!"),
        ('{{index . "start-time"}}', "-5m"),
        ('{{or (index . "end-time") ""}}|', "|"),
        ('{{or (index . "end-time") .name}}', "World"),
        ("{{or .name .missing}}{{and .empty .missing}}", "World"),
        ("{{if .name}}yes{{else}}no{{end}}", "yes"),
        ("{{if .empty}}yes{{else if .name}}maybe{{else}}no{{end}}", "maybe"),
        ("{{if not .empty}}a{{end}}", "a"),
        ('{{if eq .name "World" "Moon"}}a{{end}}{{if ne .name "Mars"}}b{{end}}', "ab"),
        ("{{if (gt (len .name) 4)}}long{{end}}", "long"),
        ("{{range $key, $value := .}}{{$key}}={{$value}};{{end}}", "empty=;greeting=Hello;name=World;start-time=-5m;"),
        ("{{range .}}[{{.}}]{{end}}", "[][Hello][World][-5m]"),
        ("{{with .name}}<{{.}}>{{end}}{{with .empty}}x{{else}}y{{end}}", "<World>y"),
        ("{{$n := .name}}{{$n}} {{$.greeting}}", "World Hello"),
        ('{{.name | printf "%s-%s" "a"}} {{printf "%03d|%q|%v|%%" 7 .name true}}', 'a-World 007|"World"|true|%'),
        ("a \n{{- .name -}}\n b", "aWorldb"),
        ('{{/* nothing */}}{{`raw }} \\n`}}{{"}}\\n"}}', "raw }} \\n}}\n"),
        ("{{.}}", "map[empty: greeting:Hello name:World start-time:-5m]"),
        ("{{print .name 1 false}}", "World1false"),
        ("$HOME ${x} { } }} %", "$HOME ${x} { } }} %"),
    ],
)
def test_what_is_filled_in(text, filled):
    assert fill_template(text, VALUES) == filled


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{.nope}}", 'failed to execute template: map has no entry for key "nope"'),
        ("{{.name.more}}", "failed to execute template: can't evaluate field more in World"),
        ("{{nope}}", 'failed to execute template: function "nope" not defined'),
        ("{{$x}}", "failed to execute template: undefined variable \\$x"),
        ("{{.name 1}}", "failed to execute template: can't give argument"),
        ("{{index .name 99}}", "failed to execute template: error calling index"),
        ('{{printf "%s"}}', "wants more values"),
        ("{{range .name}}{{end}}", "can't iterate over World"),
        ("one\ntwo {{.name", "failed to parse template: line 2: unclosed action"),
        ("{{if .name}}", "failed to parse template: .*end"),
        ("{{end}}", "failed to parse template: line 1: unexpected {{end}}"),
        ("{{}}", "failed to parse template: line 1: missing value for command"),
        ("{{(.name}}", "unclosed left paren"),
        ("{{.name )}}", "unexpected '\\)'"),
        ("{{if .name}}{{else}}{{else}}{{end}}", "unexpected {{else}}"),
        ('{{"\\q"}}', "bad text"),
        ("{{ ? }}", "unexpected '\\?' in an action"),
    ],
)
def test_what_cannot_be_filled_in(text, message):
    with pytest.raises(BadRequest, match=message):
        fill_template(text, VALUES)


def test_what_is_given_goes_before_the_environment():
    environ = {"greeting": "Hi", "name": "env", "PATH": "/bin"}
    assert template_values({"name": "given"}, environ, None) == {"name": "given"}
    assert template_values({"name": "given"}, environ, "greeting|name") == {"greeting": "Hi", "name": "given"}
    assert template_values({}, environ, "*") == environ
    assert template_values({}, environ, "AT") == {"PATH": "/bin"}
    with pytest.raises(BadRequest, match="failed to compile environment variable pattern"):
        template_values({}, environ, "(")
