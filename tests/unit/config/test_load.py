"""Where settings come from and in which order; what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bacalhau.config.foreign import refuse_state_of_original
from bacalhau.config.inert import HARMLESS, REFUSED
from bacalhau.config.job_defaults import job_defaults
from bacalhau.config.keys import config_rows, config_tree, find_key
from bacalhau.config.load import client_endpoint, load_config
from bacalhau.config.schema import Config
from bacalhau.lib.errors import BadRequest, Conflict
from bacalhau.models.job.validate import JobDefault


@pytest.fixture
def home(tmp_path):
    return {"HOME": str(tmp_path)}


def load(home, *overrides, env=None, flags=None):
    return load_config(list(overrides), home | (env or {}), flags or {})


def test_defaults(home, tmp_path):
    config = load(home)
    assert (config.api.host, config.api.port, config.orchestrator.host, config.orchestrator.port) == (
        "127.0.0.1",
        1234,
        "127.0.0.1",
        4222,
    )
    assert config.data_dir == str(tmp_path / ".bacalhau")
    assert config.compute.orchestrators == ("nats://127.0.0.1:4222",)
    assert (config.orchestrator.node_manager.disconnect_timeout, config.compute.heartbeat.interval) == (60.0, 15.0)


def test_the_stronger_source_wins(home, tmp_path):
    (tmp_path / "a.yaml").write_text(
        "api: {port: 1}\nlabels: {zone: eu}\nJobDefaults: {Batch: {Task: {Resources: {CPU: 2}, Timeouts: {TotalTimeout:"
        " 1h}}}}"
    )
    (tmp_path / "b.yml").write_text("API: {Port: 2, Host: fromfile}")
    files = [str(tmp_path / "a.yaml"), str(tmp_path / "b.yml")]
    assert load(home, *files).api.port == 2
    assert load(home, *files, env={"BACALHAU_API_PORT": "3"}).api.port == 3
    assert load(home, *files, env={"BACALHAU_API_PORT": "3"}, flags={"API.Port": 4}).api.port == 4
    config = load(home, *files, "api.port=5", env={"BACALHAU_API_PORT": "3"})
    assert (config.api.port, config.api.host, config.labels) == (5, "fromfile", {"zone": "eu"})
    assert config.job_defaults.batch.task.resources.cpu == "2"
    assert config.job_defaults.batch.task.timeouts.total_timeout == 3600


def test_the_data_directorys_own_file(home, tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "config.yaml").write_text(
        "nameprovider: hostname\nfeatureflags: {}\nAPI: {Auth: {Methods: {ClientKey: {Type: challenge}}, Oauth2: {}}}\n"
    )
    assert load(home, env={"BACALHAU_DIR": str(tmp_path / "state")}).name_provider == "hostname"
    assert load(home, flags={"DataDir": str(tmp_path / "state")}).name_provider == "hostname"
    assert load(home, "DataDir=~/state").name_provider == "hostname"
    (tmp_path / "other.yaml").write_text("")
    assert load(home, str(tmp_path / "other.yaml"), "DataDir=~/state").name_provider == "puuid"


@pytest.mark.parametrize(
    ("name", "value", "key", "found"),
    [
        ("BACALHAU_API_HOST", "h", "API.Host", "h"),
        ("BACALHAU_COMPUTE_ENABLED", "true", "Compute.Enabled", True),
        ("BACALHAU_COMPUTE_ORCHESTRATORS", "a, b", "Compute.Orchestrators", ["a", "b"]),
        ("BACALHAU_LABELS", "a=1,b=2", "Labels", {"a": "1", "b": "2"}),
        ("BACALHAU_COMPUTE_ALLOCATEDCAPACITY_CPU", "50%", "Compute.AllocatedCapacity.CPU", "50%"),
        ("BACALHAU_NODE_CLIENTAPI_PORT", "9", "API.Port", 9),
        ("LOG_LEVEL", "DEBUG", "Logging.Level", "debug"),
        ("BACALHAU_ORCHESTRATOR_NATS_URL", "nats://h:1", "Orchestrator.NATS.URL", "nats://h:1"),
    ],
)
def test_environment(home, name, value, key, found):
    rows = {row.key: row.value for row in config_rows(load(home, env={name: value}))}
    assert rows[key] == found


def test_variables_of_others_are_left_alone(home):
    mine = load(home)
    assert (
        load(
            home,
            env={
                "BACALHAU_API_KEY": "x",
                "BACALHAU_PROFILE": "p",
                "BACALHAU_API": "x",
                "BACALHAU_API_PORT": "",
                "API_PORT": "1",
            },
        )
        == mine
    )


def test_a_boolean_key_alone_is_true(home):
    assert load(home, "orchestrator.enabled", "compute.enabled=F").orchestrator.enabled is True


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("API.Port=abc", 'config key: "API.Port" expects an integer value, received: "abc" (from -c)'),
        ("api.port=70000", 'config key: "API.Port" expects an integer value, received: "70000" (from -c)'),
        ("Compute.Enabled=maybe", 'config key: "Compute.Enabled" expects a boolean value, received: "maybe" (from -c)'),
        (
            "InputSources.ReadTimeout=5",
            'config key: "InputSources.ReadTimeout" expects a duration, received: "5" (from -c)',
        ),
        (
            "InputSources.MaxRetryCount=-1",
            'config key: "InputSources.MaxRetryCount" expects an integer value, received: "-1" (from -c)',
        ),
        (
            "NameProvider=aws",
            'config key: "NameProvider" expects one of puuid, uuid, hostname, received: "aws" (from -c)',
        ),
        ("Labels=a", 'config key: "Labels" expects a map, received: "a" (from -c)'),
        ("x.y=1", "no matching config key. Run 'bacalhau config list' for a list of valid keys: x.y (from -c)"),
        ("API=1", "no matching config key. Run 'bacalhau config list' for a list of valid keys: API (from -c)"),
        ("nope", "no matching config key. Run 'bacalhau config list' for a list of valid keys: nope (from -c)"),
        ("API.Port", "config flag key requires a value."),
        ("DataDir=$HOME/x", 'config key: "DataDir" must not hold "$": $HOME/x'),
        ("API.TLS.AutoCert=a.example", "API.TLS.AutoCert is not supported yet"),
        ("api.auth.users=a", 'config key: "API.Auth.Users" expects a list, received: "a" (from -c)'),
        ("Orchestrator.Advertise=10.0.0.1", "Orchestrator.Advertise is not supported yet"),
        (
            "JobAdmissionControl.Locality=near",
            'config key: "JobAdmissionControl.Locality" expects one of anywhere, local, received: "near" (from -c)',
        ),
        (
            "Orchestrator.NodeManager.PingTimeout=10ms",
            (
                'config key: "Orchestrator.NodeManager.PingTimeout" expects a duration of at least 500ms, received:'
                ' "10ms" (from -c)'
            ),
        ),
        (
            "Orchestrator.NodeManager.LostGrace=2s",
            (
                'config key: "Orchestrator.NodeManager.LostGrace" expects a duration of at least 3s, received: "2s"'
                " (from -c)"
            ),
        ),
        ("/nowhere/c.yaml", "specified configuration file doesn't exist: /nowhere/c.yaml"),
    ],
)
def test_refusals(home, text, message):
    with pytest.raises(BadRequest) as caught:
        load(home, text)
    assert caught.value.message == message


@pytest.mark.parametrize(
    "text",
    [
        "DisableAnalytics",
        "UpdateConfig.Interval=24h",
        "API.TLS.UseTLS=false",
        "WebUI.Listen=x",
        "JobAdmissionControl.Locality=anywhere",
        "InputSources.MaxRetryCount=3",
    ],
)
def test_what_changes_nothing_is_accepted(home, text):
    assert load(home, text) == load(home)


def test_text_is_as_it_was_written(home, tmp_path, caplog):
    """A token of digits is no octal number, a version no fraction."""
    file = tmp_path / "a.yaml"
    file.write_text(
        "Orchestrator: {Auth: {Token: 012345}}\nLabels: {a: 1.10, b: yes, c: 0644, d: 2}\nNameProvider: hostname\n"
        "API: {Port: 7, Host: ~}\nAPI: {Port: 8}\n"
    )
    config = load(home, str(file))
    assert (config.orchestrator.auth.token, config.api.port, config.api.host) == ("012345", 8, "127.0.0.1")
    assert config.labels == {"a": "1.10", "b": "yes", "c": "0644", "d": "2"}
    assert caplog.messages == [
        f"configuration file {file}: key 'API' is given twice (line 5, column 1): the last one counts"
    ]


def test_the_file_of_the_original_is_read_as_far_as_it_can_be(home, tmp_path, caplog):
    """A client that shares its folder goes on; elsewhere an unknown key is a mistake."""
    folder = tmp_path / ".bacalhau"
    folder.mkdir()
    (folder / "config.yaml").write_text("Node: {ClientAPI: {Host: x, Port: 2}}\nUser: {KeyPath: k}\nAPI: {Port: 7}\n")
    with pytest.raises(BadRequest, match="no matching config key"):
        load(home)
    (folder / "repo.version").write_text('{"Version":1}')
    assert load(home).api.port == 7
    told = f"{folder}/config.yaml is of the original: 3 of its keys mean nothing here, such as Node.ClientAPI.Host"
    assert caplog.messages == [told]


@pytest.mark.parametrize("name", ["orchestrator/state_boltdb.db", "compute/state_boltdb.db", "orchestrator/nats-store"])
def test_no_server_begins_in_the_state_of_the_original(tmp_path, name):
    for mark in ("system_metadata.yaml", "user_id.pem", "config.yaml"):
        (tmp_path / mark).touch()
    refuse_state_of_original(tmp_path)
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).touch()
    with pytest.raises(Conflict) as refused:
        refuse_state_of_original(tmp_path)
    assert refused.value.message.startswith(f"{tmp_path} holds the state of another program, Bacalhau in Go ({name})")
    assert "BACALHAU_DIR or --data-dir" in refused.value.hint
    (tmp_path / "node.json").touch()
    refuse_state_of_original(tmp_path)


def test_other_faults_of_files(home, tmp_path):
    plain, folder = tmp_path / "c.txt", tmp_path / "d.yaml"
    plain.write_text("x")
    folder.mkdir()
    cases = {
        str(plain): f"config files must end in suffix '.yaml' or '.yml': {plain}",
        str(folder): f"specified configuration file is a directory, must be a file: {folder}",
    }
    for number, (text, message) in enumerate(
        [
            ("- a", "must hold keys and values, found a list"),
            (
                "API: {Prt: 1}",
                "no matching config key. Run 'bacalhau config list' for a list of valid keys: API.Prt (from {file})",
            ),
            ("API: {Port: [1]}", 'config key: "API.Port" expects an integer value, received: "[1]" (from {file})'),
            ("API: [", "cannot read the configuration file {file}: broken YAML at line 2, column 1: "),
            ("API: {TLS: {AutoCert: a.example}}", "API.TLS.AutoCert is not supported yet"),
        ]
    ):
        file = tmp_path / f"{number}.yaml"
        file.write_text(text)
        cases[str(file)] = message.replace("{file}", str(file))
    for path, message in cases.items():
        with pytest.raises(BadRequest) as caught:
            load(home, path)
        assert message in caught.value.message


def test_a_flag_and_a_value_for_the_same_key(home):
    with pytest.raises(BadRequest, match=r'a flag and config flag key "API[.]Port" cannot both be provided'):
        load(home, "api.port=1", flags={"API.Port": 2})
    assert load(home, "api.port=1", flags={"API.Port": None}).api.port == 1


def test_where_a_bad_value_came_from(home):
    with pytest.raises(BadRequest, match="from BACALHAU_API_PORT"):
        load(home, env={"BACALHAU_API_PORT": "x"})


@pytest.mark.parametrize(
    ("host", "port", "url"),
    [
        ("127.0.0.1", "1234", "http://127.0.0.1:1234"),
        ("0.0.0.0", "9", "http://127.0.0.1:9"),
        ("::", "9", "http://127.0.0.1:9"),
        ("::1", "9", "http://[::1]:9"),
        ("[::1]:80", "9", "http://[::1]:80"),
        ("example.org", "9", "http://example.org:9"),
        ("example.org:80", "9", "http://example.org:80"),
        ("https://example.org", "443", "https://example.org:443"),
        ("HTTP://example.org:8080/base/", "9", "http://example.org:8080/base"),
    ],
)
def test_endpoint(home, host, port, url):
    assert client_endpoint(load(home, f"API.Host={host}", f"API.Port={port}")) == url


def test_endpoint_of_another_scheme(home):
    with pytest.raises(BadRequest, match="expects a host or an http"):
        client_endpoint(load(home, "API.Host=ftp://h"))


def test_every_setting_says_what_it_is():
    rows = config_rows(Config())
    assert all(row.description for row in rows)
    assert [row.key for row in rows] == sorted(row.key for row in rows)


def test_every_setting_is_found_and_none_is_inert_as_well():
    names = {row.key for row in config_rows(Config())}
    assert all(find_key(name.lower()).name == name for name in names)
    assert not {name.lower() for name in names} & (HARMLESS.keys() | REFUSED.keys())
    assert not HARMLESS.keys() & REFUSED.keys()


def test_the_tree_reads_back(home, tmp_path):
    config = load(home, "Orchestrator.Auth.Token=secret", "Compute.Heartbeat.Interval=1m30s", "Labels=a=b")
    tree = config_tree(config)
    assert (tree["Orchestrator"]["Auth"]["Token"], tree["Compute"]["Heartbeat"]["Interval"]) == ("", "1m30s")
    written = repr(config_tree(config, blank=None)).replace("True", "true").replace("False", "false")
    (tmp_path / "c.yaml").write_text(written)
    assert load(home, str(tmp_path / "c.yaml")) == config


def test_job_defaults(home):
    defaults = job_defaults(
        load(home, "JobDefaults.Batch.Task.Publisher.Type=ipfs", "JobDefaults.Batch.Task.Timeouts.ExecutionTimeout=30m")
    )
    assert (defaults["batch"].publisher.type, defaults["batch"].timeouts.execution_timeout) == ("ipfs", 1800)
    assert defaults["ops"] == JobDefault(resources=defaults["ops"].resources)
    assert (defaults["ops"].resources.cpu, defaults["ops"].resources.memory) == ("500m", "512Mb")


@given(st.text(max_size=30) | st.just("x" * 5000) | st.just("x" * 5000 + ".yaml"))
def test_any_value_is_read_or_refused(text):
    try:
        load_config([text], {"HOME": "/nowhere"}, {})
    except BadRequest as e:
        assert e.message
