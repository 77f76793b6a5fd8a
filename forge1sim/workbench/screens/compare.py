"""Two to six runs side by side on the same random draws, and replications that tell a difference from luck."""

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from forge1sim.errors import Forge1Error, RunError
from forge1sim.metrics.slo import ALL_TIERS
from forge1sim.results.compare import (
    COMPARED,
    FEWEST,
    MOST,
    Comparison,
    Line,
    by_tier,
    compare,
    in_short,
    tiers_of,
)
from forge1sim.results.inputs import told
from forge1sim.results.measures import MEASURES
from forge1sim.results.paired import CONFIDENCE, FEWEST_REPLICATIONS, MOST_REPLICATIONS, forest, paired_intervals
from forge1sim.runs import Run, Status
from forge1sim.workbench import session, show
from forge1sim.workbench.chosen import finished_runs, run_title

RUNS = "runs"
MOST_INPUTS = 200


def picked_runs() -> list[Run]:
    """The runs that the link names, or that are picked here; the page ends here with fewer than two."""
    own = {run.id: run for run in finished_runs()}
    named = list(dict.fromkeys(run_id for run_id in st.query_params.get(RUNS, "").split(",") if run_id))[:MOST]
    for run_id in named:
        try:
            run = session.pool().get(run_id)
        except RunError as error:
            show.trouble(error)
            continue
        if run.status is Status.DONE:
            own.setdefault(run_id, run)
        else:
            st.warning(f"{show.words(run.name)} has no results yet: it is {run.status}.", icon=":material/hourglass_top:")
    if len(own) < FEWEST:
        st.info("Comparing needs two finished runs. Simulate a scenario, change something, simulate again.", icon=":material/info:")
        show.link("Simulate a scenario", "scenario", icon=":material/edit_note:")
        st.stop()
    picked = st.multiselect(
        "Runs to compare; the first is the baseline", list(own), default=[run_id for run_id in named if run_id in own],
        format_func=lambda run_id: run_title(own[run_id]), max_selections=MOST, placeholder=f"Pick {FEWEST} to {MOST} runs", key="picked",
    )  # fmt: skip
    st.query_params[RUNS] = ",".join(picked)
    if len(picked) < FEWEST:
        st.info(f"Pick {FEWEST} to {MOST} runs. The first one is the baseline.", icon=":material/info:")
        st.stop()
    return [own[run_id] for run_id in picked]


def short_names(runs: Sequence[Run]) -> list[str]:
    """Names for columns and legends: letters tell apart what is called the same."""
    names = [run.name for run in runs]
    return [name if names.count(name) == 1 else f"{name} ({'ABCDEF'[place]})" for place, name in enumerate(names)]


def inputs(comparison: Comparison, names: Sequence[str]) -> None:
    """Fields that differ."""
    st.subheader("Inputs that differ", anchor="inputs")
    if not comparison.inputs:
        st.caption("None: the same scenario." if comparison.same_draws else "Only the seed.")
        return
    shown = comparison.inputs[:MOST_INPUTS]
    columns = {"field": [one.field for one in shown]}
    columns |= {name: [told(one.values[place]) for one in shown] for place, name in enumerate(names)}
    st.dataframe(columns, hide_index=True, alt=f"{len(comparison.inputs)} fields differ")
    if len(comparison.inputs) > MOST_INPUTS:
        st.caption(f"The first {MOST_INPUTS} of {len(comparison.inputs):,} fields.")


def outcome(lines: Sequence[Line], names: Sequence[str], tier: str) -> None:
    """Every measure of a tier in every run, with differences to the baseline in colour and words."""
    columns = {"measure": [line.measure.title for line in lines], names[0]: [line.measure.text(line.values[0]) for line in lines]}
    for place, name in enumerate(names[1:]):
        columns[name] = [line.measure.text(line.values[place + 1]) for line in lines]
        columns[f"{name}, difference"] = [
            f"{show.VERDICTS[line.changes[place].verdict]} {line.measure.change(line.changes[place].difference)}" for line in lines
        ]
    st.dataframe(show.judged(columns), hide_index=True, height="content", alt=f"Measures of {tier}, run by run")


def replicate(runs: Sequence[Run], names: Sequence[str]) -> None:
    """Run all of them again on some more seeds, and show paired intervals."""
    st.subheader("Luck or difference?", anchor="replications")
    st.markdown(
        "One run each is one draw of luck. Replications run every side again on the same further seeds; the differences, pair by "
        f"pair, give {CONFIDENCE:.0%} intervals."
    )
    count = st.slider("Replications", FEWEST_REPLICATIONS, MOST_REPLICATIONS, 5, key="replications", bind="query-params")
    wanted = (tuple(run.id for run in runs), count)
    if st.button(f"Run {count} replications of each", type="primary", icon=":material/casino:"):
        try:
            st.session_state["replicas"] = (wanted, start_replications(runs, count))
        except Forge1Error as error:
            show.trouble(error)
    known, replicas = st.session_state.get("replicas", (None, []))
    if known == wanted:
        watch(replicas, names)
    elif known is not None:
        st.caption("The replications that ran before were of other runs, or another number of them.")


def start_replications(runs: Sequence[Run], count: int) -> list[list[str]]:
    """Ids of the replications of each run, in the same order of seeds; those that ran before cost nothing."""
    first = runs[0].ask.seed
    started = []
    for run in runs:
        run.load()          # refuses a scenario file that has changed since
        asks = [replace(run.ask, seed=seed) for seed in range(first, first + count)]
        started.append([session.pool().start(ask, owner=session.owner(), name=run.name, kind="what-if") for ask in asks])
    return started


@st.fragment(run_every=1.0)
def watch(replicas: list[list[str]], names: Sequence[str]) -> None:
    """How many replications are done; the intervals once all are."""
    found = [[session.pool().get(run_id) for run_id in side] for side in replicas]
    everyone = [run for side in found for run in side]
    failed = [run for run in everyone if run.status in (Status.FAILED, Status.CANCELLED)]
    done = sum(run.status is Status.DONE for run in everyone)
    if failed:
        st.error(f"{len(failed)} replications did not end well. {show.words(failed[0].reason)}", icon=":material/error:")
    elif done < len(everyone):
        st.progress(done / len(everyone), f"{done} of {len(everyone)} runs done")
        if st.button("Cancel", key="cancel-replications"):
            for run in everyone:
                session.pool().cancel(run.id)
    else:
        intervals([[str(run.folder) for run in side] for side in found], names)


def intervals(folders: list[list[str]], names: Sequence[str]) -> None:
    """Paired differences of every run to the baseline."""
    sides = [[show.results_in(folder) for folder in side] for side in folders]
    tier = st.selectbox("Of", tiers_of([side[0] for side in sides]), key="interval_tier")
    for place, name in enumerate(names[1:], start=1):
        found = paired_intervals(sides[0], sides[place])
        st.markdown(f"**{show.words(name)} against {show.words(names[0])}**")
        made, sentence = forest(found, str(tier))
        show.figure(made, sentence, key=f"forest-{place}", save_as=f"differences-{place}")
        mine = [one for one in found if one.tier == tier]
        columns = {
            "measure": [one.measure.title for one in mine], "baseline": [one.measure.text(one.baseline_mean) for one in mine],
            "difference (interval)": [one.text for one in mine], "": [show.VERDICTS[one.verdict] for one in mine],
        }  # fmt: skip
        with st.expander("The intervals as a table"):
            st.dataframe(show.judged(columns), hide_index=True, height="content", alt=f"Paired differences, {name} against {names[0]}")
    st.caption(
        "Each interval stands for itself. Verdicts are for all measures and tiers at once (Holm): that any of them calls luck a difference "
        f"has a chance of {1 - CONFIDENCE:.0%}. More replications tell more apart."
    )


st.title("Compare")
chosen = picked_runs()
try:
    comparison = compare([show.results_in(str(run.folder)) for run in chosen])
except RunError as problem:
    show.trouble(problem)
    st.stop()
titles = short_names(chosen)
if comparison.same_draws:
    st.caption(f"All runs have seed {comparison.runs[0].seed}: every request meets the same luck on every side.")
else:
    st.warning("These runs have different seeds: part of every difference is luck. Replications below use the same seeds.")
st.markdown("\n".join(f"- {show.words(sentence)}" for sentence in in_short(comparison, titles)))
inputs(comparison, titles)
st.subheader("What came of it", anchor="outcome")
scope = st.segmented_control("Of", tiers_of(comparison.runs), default=ALL_TIERS, required=True, key="tier", bind="query-params")
outcome(comparison.of(str(scope)), titles, str(scope))
shown_measure = st.selectbox(
    "Measure", COMPARED, index=COMPARED.index("wait_p95_s"), format_func=lambda name: MEASURES[name].title, key="measure"
)
drawn, said = by_tier(comparison, shown_measure, titles)
show.figure(drawn, said, key="by-tier", save_as=f"compare-{shown_measure}")
replicate(chosen, titles)
with st.expander("Commands"):
    for one in comparison.runs:
        show.command(one.command)
