"""Set up rollouts in memory for screenshots of the page."""

from functions.rollouts.model.rollout import RolloutStatus
from simulator.simulated_fleet.shares import Fault
from tests.functions.use_cases.world import World, device
from tests.page.conftest import App

MODELS = ("edge-10", "edge-20", "edge-30")
STRATEGY = {
    "stratifyBy": ["tags.site"],
    "waves": [{"name": "canary", "size": 60}, {"name": "early", "size": 300, "approval": True}],
    "maxInFlight": 150,
}
FIRMWARE = {"version": "2.4.0", "packageUri": "https://packages.example/fw-2.4.0.bin"}


def make_world(count: int = 1500, *, failing: str = "edge-30") -> World:
    """Make a fleet of three models; of every 16 devices of the model `failing`, one fails."""
    fleet = [
        device(
            f"device-{number:05}",
            stratum=MODELS[number % 3],
            fault=Fault.FAILING
            if MODELS[number % 3] == failing and number // 3 % 16 == 5
            else Fault.NONE,
        )
        for number in range(count)
    ]
    return World(fleet, still=True)


def advance_to_approval(world: World, rollout_id: str) -> None:
    """Run ticks until a wave waits for an approval."""
    for _ in range(200):
        world.tick()
        reason = world.rollout(rollout_id).status_reason
        if reason is not None and reason.code == "awaitingApproval":
            return
    raise AssertionError("no wave waits for an approval")


def pause_at_gate(world: World, app: App) -> str:
    """Roll out until a gate has paused the rollout. Return its id."""
    target = {"deviceIds": list(world.hub.devices)}
    body = {"firmware": FIRMWARE, "target": target, "strategy": STRATEGY}
    rollout_id = str(app.post("/rollouts", body).body["id"])
    advance_to_approval(world, rollout_id)
    approval = {"by": "ada", "reason": "canary is well"}
    app.post(f"/rollouts/{rollout_id}/approve", approval)
    for _ in range(400):
        world.tick()
        if world.rollout(rollout_id).status is RolloutStatus.PAUSED:
            return rollout_id
    raise AssertionError("no gate has paused the rollout")
