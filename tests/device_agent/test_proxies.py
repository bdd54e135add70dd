"""Test which proxy a connection uses, and that a proxy's secret is never shown."""

import pytest

from device_agent.proxies import Proxies, Proxy, ProxyError, read_proxy

PROXY = Proxy(host="proxy.example", port=3128)
SECRET = "hush"


def test_the_environment_names_the_proxies_in_either_case() -> None:
    found = Proxies.from_environment(
        {
            "HTTP_PROXY": "http://proxy.example:3128",
            "https_proxy": "other.example",
            "HTTPS_PROXY": "http://ignored.example",
            "NO_PROXY": "localhost, .internal.example\t10.0.0.0/8",
        }
    )
    assert found.find("http", "packages.example", 80) == PROXY
    assert found.find("https", "packages.example", 443) == Proxy(host="other.example", port=80)
    assert found.find("https", "10.1.2.3", 443) is None
    assert found.find("http", "a.internal.example", 80) is None


@pytest.mark.parametrize("environment", [{}, {"HTTP_PROXY": "", "https_proxy": " "}])
def test_without_variables_every_connection_is_direct(environment: dict[str, str]) -> None:
    found = Proxies.from_environment(environment)
    assert found.find("http", "packages.example", 80) is None
    assert found.find("https", "packages.example", 443) is None


BYPASSED = [
    *[("*", "packages.example"), ("packages.example", "packages.example")],
    *[("example", "packages.example"), (".example", "packages.example")],
    *[("*.example", "packages.example"), ("PACKAGES.example", "packages.EXAMPLE.")],
    *[("packages.example:8080", "packages.example"), ("10.0.0.0/8", "10.255.0.1")],
    *[("10.1.2.3", "10.1.2.3"), ("10.1.2.3:8080", "10.1.2.3"), ("fd00::/8", "fd00::7")],
    *[("[::1]", "::1"), ("[::1]:8080", "::1"), ("::1", "::1")],
]
PROXIED = [
    *[
        ("", "packages.example"),
        ("ample", "packages.example"),
        ("ages.example", "packages.example"),
    ],
    *[("packages.example:80", "packages.example"), ("10.0.0.0/8", "11.0.0.1")],
    *[("10.1.2.3", "10.1.2.30"), ("::1", "::2"), ("10.0.0.0/8", "packages.example")],
    *[("packages.example.org", "packages.example"), ("sub.packages.example", "packages.example")],
]


@pytest.mark.parametrize(("rule", "host"), BYPASSED)
def test_a_host_that_a_rule_names_is_reached_without_a_proxy(rule: str, host: str) -> None:
    proxies = Proxies(http=PROXY, bypass=("other", rule))
    assert proxies.find("http", host, 8080) is None


@pytest.mark.parametrize(("rule", "host"), PROXIED)
def test_any_other_host_is_reached_through_the_proxy(rule: str, host: str) -> None:
    assert Proxies(http=PROXY, bypass=(rule,)).find("http", host, 8080) == PROXY


@pytest.mark.parametrize(
    ("url", "host", "port", "header"),
    [
        ("http://proxy.example:3128", "proxy.example", 3128, None),
        ("proxy.example:3128", "proxy.example", 3128, None),
        ("http://[fd00::7]:3128/", "fd00::7", 3128, None),
        ("http://ada:hu%40sh@proxy.example", "proxy.example", 80, "Basic YWRhOmh1QHNo"),
        ("http://ada@proxy.example", "proxy.example", 80, "Basic YWRhOg=="),
    ],
)
def test_a_proxy_is_read_from_its_url(url: str, host: str, port: int, header: str | None) -> None:
    found = read_proxy(url)
    assert (found.host, found.port) == (host, port)
    assert found.headers.get("Proxy-Authorization") == header


@pytest.mark.parametrize(
    "url",
    [
        *(f"socks5://ada:{SECRET}@proxy:1080", f"https://ada:{SECRET}@proxy"),
        *(f"http://ada:{SECRET}@:3128", f"http://ada:{SECRET}@proxy:99999", f"http://[{SECRET}"),
        f"http://ada:{SECRET}@proxy:port",
    ],
)
def test_an_invalid_proxy_is_refused_without_its_secret(url: str) -> None:
    with pytest.raises(ProxyError, match="HTTPS_PROXY") as failed:
        Proxies.from_environment({"HTTPS_PROXY": url})
    assert SECRET not in str(failed.value)
    assert failed.value.__context__ is None or SECRET not in str(failed.value.__context__)


def test_a_proxy_is_shown_without_its_user_and_password() -> None:
    found = read_proxy(f"http://ada:{SECRET}@proxy.example:3128")
    assert str(found) == "proxy.example:3128"
    assert SECRET not in f"{found!r} {Proxies(https=found)!r}"
    assert "ada" not in repr(found)
