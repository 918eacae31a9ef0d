"""How many CPUs there are for us, on machines that are dictionaries of files."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Literal

import pytest

from pytest_parpool.cpus import auto_worker_count, usable_cpus
from pytest_parpool.errors import BadSettingError

V2 = "/sys/fs/cgroup"
V1 = "/sys/fs/cgroup/cpu"
MEMBERSHIP = "/proc/self/cgroup"


def reader(files: Mapping[str, str]) -> Callable[[str], str]:
    """Return what reads these files, and finds no others."""

    def read_text(path: str) -> str:
        try:
            return files[path]
        except KeyError:
            raise FileNotFoundError(path) from None

    return read_text


def usable(
    files: Mapping[str, str] | None = None,
    *,
    affinity: int | None = 16,
    cpu_count: int | None = 32,
    **environ: str,
) -> int:
    """Return the usable CPUs of a machine, by default one that lets us use 16 of 32."""
    return usable_cpus(environ, lambda: affinity, reader(files or {}), lambda: cpu_count)


def auto(
    kind: Literal["auto", "logical"] = "auto",
    *,
    cores: int | None = None,
    threads: int | None = None,
    affinity: int = 16,
    **environ: str,
) -> int:
    """Return the workers for ``-n auto`` on a machine of which psutil knows cores and threads, or nothing."""

    def hardware_count(*, is_logical: bool) -> int | None:
        return threads if is_logical else cores

    return auto_worker_count(
        kind,
        environ=environ,
        affinity=lambda: affinity,
        read_text=reader({}),
        cpu_count=lambda: 32,
        hardware_count=hardware_count,
    )


class TestUsableCpus:
    """What this process may keep busy."""

    def test_affinity(self) -> None:
        """The affinity mask counts, not the machine."""
        assert usable() == 16

    @pytest.mark.parametrize(("cpu_count", "expected"), [(8, 8), (None, 1)])
    def test_without_affinity(self, cpu_count: int | None, expected: int) -> None:
        """Where the mask is unknown the machine counts, and where that is unknown too there is one CPU."""
        assert usable(affinity=None, cpu_count=cpu_count) == expected

    @pytest.mark.parametrize(("text", "expected"), [("3", 3), ("64", 64), ("default", 16), ("", 16)])
    def test_python_cpu_count(self, text: str, expected: int) -> None:
        """``PYTHON_CPU_COUNT`` replaces the mask, as in CPython 3.13."""
        assert usable(PYTHON_CPU_COUNT=text) == expected

    @pytest.mark.parametrize("text", ["0", "-1", "many"])
    def test_bad_python_cpu_count(self, text: str) -> None:
        """A bad number is named with its variable."""
        with pytest.raises(BadSettingError) as caught:
            usable(PYTHON_CPU_COUNT=text)
        assert str(caught.value) == (
            f"environment variable PYTHON_CPU_COUNT: {text!r} is not allowed; give a whole number >= 1"
        )

    def test_quota_bounds_python_cpu_count(self) -> None:
        """A quota is not to be talked away: above it, workers only take turns."""
        assert usable({MEMBERSHIP: "0::/\n", f"{V2}/cpu.max": "200000 100000\n"}, PYTHON_CPU_COUNT="8") == 2

    @pytest.mark.parametrize(
        ("files", "expected"),
        [
            pytest.param({f"{V2}/cpu.max": "200000 100000\n"}, 16, id="no-membership"),
            pytest.param({MEMBERSHIP: "0::/\n"}, 16, id="no-limit-file"),
            pytest.param({MEMBERSHIP: "0::/\n", f"{V2}/cpu.max": "max 100000\n"}, 16, id="v2-unlimited"),
            pytest.param({MEMBERSHIP: "0::/\n", f"{V2}/cpu.max": "200000 100000\n"}, 2, id="v2-root"),
            pytest.param({MEMBERSHIP: "0::/\n", f"{V2}/cpu.max": "250000 100000\n"}, 3, id="v2-rounded-up"),
            pytest.param({MEMBERSHIP: "0::/\n", f"{V2}/cpu.max": "1000 100000\n"}, 1, id="v2-at-least-one"),
            pytest.param({MEMBERSHIP: "0::/\n", f"{V2}/cpu.max": "9900000 100000\n"}, 16, id="v2-above-affinity"),
            pytest.param({MEMBERSHIP: "0::/\n", f"{V2}/cpu.max": "nonsense\n"}, 16, id="v2-unreadable"),
            pytest.param({MEMBERSHIP: "0::/\n", f"{V2}/cpu.max": "100000 0\n"}, 16, id="v2-no-period"),
            pytest.param(
                {
                    MEMBERSHIP: "0::/user.slice/job\n",
                    f"{V2}/user.slice/job/cpu.max": "max 100000\n",
                    f"{V2}/user.slice/cpu.max": "300000 100000\n",
                },
                3,
                id="v2-limit-above-us",
            ),
            pytest.param(
                {
                    MEMBERSHIP: "0::/a/b\n",
                    f"{V2}/a/b/cpu.max": "400000 100000\n",
                    f"{V2}/a/cpu.max": "500000 100000\n",
                    f"{V2}/cpu.max": "600000 100000\n",
                },
                4,
                id="v2-smallest-of-all-levels",
            ),
            pytest.param(
                {MEMBERSHIP: "0::/docker/0123\n", f"{V2}/cpu.max": "200000 100000\n"},
                2,
                id="v2-host-path-seen-in-container",
            ),
            pytest.param(
                {
                    MEMBERSHIP: "0::/../other\n",
                    f"{V2}/../other/cpu.max": "100000 100000\n",
                    f"{V2}/cpu.max": "200000 100000\n",
                },
                2,
                id="v2-outside-of-namespace",
            ),
            pytest.param(
                {MEMBERSHIP: "0::/odd:name\n", f"{V2}/odd:name/cpu.max": "200000 100000\n"},
                2,
                id="v2-colon-in-path",
            ),
            pytest.param(
                {
                    MEMBERSHIP: "3:cpuset:/\n2:cpu:/\n0::/\n",
                    f"{V1}/cpu.cfs_quota_us": "150000\n",
                    f"{V1}/cpu.cfs_period_us": "100000\n",
                },
                2,
                id="v1-cpu",
            ),
            pytest.param(
                {
                    MEMBERSHIP: "4:cpu,cpuacct:/docker/1\n",
                    f"{V2}/cpu,cpuacct/docker/1/cpu.cfs_quota_us": "300000\n",
                    f"{V2}/cpu,cpuacct/docker/1/cpu.cfs_period_us": "100000\n",
                },
                3,
                id="v1-cpu,cpuacct",
            ),
            pytest.param(
                {
                    MEMBERSHIP: "4:cpu,cpuacct:/docker/1\n",
                    f"{V1}/docker/cpu.cfs_quota_us": "400000\n",
                    f"{V1}/docker/cpu.cfs_period_us": "100000\n",
                },
                4,
                id="v1-limit-above-us",
            ),
            pytest.param(
                {
                    MEMBERSHIP: "2:cpu:/\n",
                    f"{V1}/cpu.cfs_quota_us": "-1\n",
                    f"{V1}/cpu.cfs_period_us": "100000\n",
                },
                16,
                id="v1-unlimited",
            ),
            pytest.param(
                {
                    MEMBERSHIP: "2:cpuset:/\nno line of this kind\n",
                    f"{V1}/cpu.cfs_quota_us": "100000\n",
                    f"{V1}/cpu.cfs_period_us": "100000\n",
                },
                16,
                id="v1-another-controller",
            ),
        ],
    )
    def test_quota(self, files: dict[str, str], expected: int) -> None:
        """The smallest quota from our control group up to the root counts; what cannot be read is no limit."""
        assert usable(files) == expected


class TestAutoWorkerCount:
    """What ``-n auto`` and ``-n logical`` stand for."""

    @pytest.mark.parametrize(("text", "expected"), [("5", 5), ("0", 0), ("99", 99), ("", 16)])
    def test_variable(self, text: str, expected: int) -> None:
        """``PYTEST_XDIST_AUTO_NUM_WORKERS`` goes before all counting."""
        assert auto(cores=None, PYTEST_XDIST_AUTO_NUM_WORKERS=text, PYTHON_CPU_COUNT="16") == expected

    @pytest.mark.parametrize("text", ["-1", "two", "2.0"])
    def test_bad_variable(self, text: str) -> None:
        """A bad number is an error, not a warning that gets lost."""
        with pytest.raises(BadSettingError) as caught:
            auto(PYTEST_XDIST_AUTO_NUM_WORKERS=text)
        assert str(caught.value) == (
            f"environment variable PYTEST_XDIST_AUTO_NUM_WORKERS: {text!r} is not allowed; give a whole number >= 0"
        )

    @pytest.mark.parametrize(
        ("kind", "cores", "threads", "affinity", "expected"),
        [
            ("auto", None, None, 16, 16),
            ("logical", None, None, 16, 16),
            ("auto", 8, 16, 16, 8),
            ("logical", 8, 16, 16, 16),
            ("auto", 8, 16, 4, 4),
            ("logical", 8, 16, 4, 4),
        ],
    )
    def test_hardware(
        self,
        kind: Literal["auto", "logical"],
        cores: int | None,
        threads: int | None,
        affinity: int,
        expected: int,
    ) -> None:
        """Cores, or hardware threads, as far as psutil knows them and we may use them."""
        assert auto(kind, cores=cores, threads=threads, affinity=affinity) == expected

    @pytest.mark.parametrize("kind", ["auto", "logical"])
    def test_this_machine(self, kind: Literal["auto", "logical"]) -> None:
        """The real readers find at least one CPU, on every platform, with and without psutil."""
        assert auto_worker_count(kind, environ={}) >= 1

    def test_psutil_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without psutil the usable CPUs are taken."""
        monkeypatch.setitem(sys.modules, "psutil", None)
        counted = auto_worker_count(
            "auto", environ={"PYTHON_CPU_COUNT": "3"}, read_text=reader({}), cpu_count=lambda: None
        )
        assert counted == 3
