"""How a message comes to its outcome, by what CUBE registers: the composition of both ways."""

from collections.abc import Awaitable, Callable
from functools import partial

from lapidicom.registrar.consumer.deliveries import Publish, TakesToOutcome
from lapidicom.registrar.consumer.progress import BehindInstances
from lapidicom.registrar.consumer.registration import Registration
from lapidicom.registrar.cube.client import Cube
from lapidicom.registrar.cube.generation import Generation
from lapidicom.registrar.cube.probe import AskTrouble, SharedProbe, trouble_of, trouble_with_series
from lapidicom.registrar.mount import Mount
from lapidicom.registrar.series.gateway import SeriesGateway
from lapidicom.registrar.series.registration import PatienceFor, SeriesRegistration
from lapidicom.registrar.series.settling_messages import SettlingMessages


def by_generation(
    prober: Cube,
    mount: Mount,
    publish: Publish,
    *,
    delays: tuple[int, ...],
    retries: int,
    patience: PatienceFor,
    probe_shared: float,
) -> dict[Generation, TakesToOutcome]:
    """Both ways, each of which serves all workers and outlives outages.

    Args:
        prober: asks whether CUBE is well.
        mount: our mount of the volume.
        publish: returns once the message is confirmed.
        delays: of the delay queues, seconds, ascending.
        retries: CHRIS_HTTP_RETRIES.
        patience: how long the series of a calling AE title may take.
        probe_shared: seconds for which a failed probe is not repeated.
    """

    def trouble(ask: Callable[[Cube], Awaitable[str | None]]) -> AskTrouble:
        return SharedProbe(partial(ask, prober), shared=probe_shared).trouble

    of_files = trouble(trouble_of)
    behind = BehindInstances(mount.look_at, of_files, retries)
    return {
        Generation.PER_FILE: Registration(of_files, mount.look, behind),
        Generation.PER_SERIES: SeriesRegistration(
            SeriesGateway(trouble(trouble_with_series), mount.look_at),
            mount.look_at,
            mount.look,
            SettlingMessages(publish),
            delays,
            patience,
        ),
    }
