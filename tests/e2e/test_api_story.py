"""From an invalid export to coverage, as a runbook goes."""

from tests.e2e.api import Api


def test_an_invalid_export_its_error_the_corrected_one_plan_reconcile_coverage(api: Api) -> None:
    subscription = next(iter(api.azure.tenant.subscriptions.values())).id  # the first is always sound
    scope = f"subscriptions: [{subscription}]"

    wrong = api.put("story", api.export("story", "minimumSeverity: Severe", scope))
    assert wrong.problem == "invalid-export"
    (finding,) = (each for each in wrong.json()["findings"] if each["severity"] == "error")
    assert "minimumSeverity" in finding["where"]

    right = api.put("story", api.export("story", "minimumSeverity: Medium", scope), if_none_match="*")
    assert right.status == 201
    before = api.call("GET", f"/api/coverage?maxAge=0&subscription={subscription}").json()["value"][0]
    assert [verdict["met"] for verdict in before["verdicts"]] == [False]

    planned = api.job(kind="plan", exports=["story"])["result"]
    assert [(item["action"], item["export"]) for item in planned["items"] if item["export"] == "story"] == [
        ("create", "story")
    ]
    assert not mine(api)

    done = api.job(kind="reconcile", subscriptions=[subscription], exports=["story"], wait=120)["result"]
    assert (done["outcome"], done["counts"]["Created"], done["counts"]["Blocked"]) == ("Succeeded", 1, 0)
    assert len(mine(api)) == 1
    again = api.job(kind="reconcile", subscriptions=[subscription], exports=["story"])["result"]
    assert (again["counts"]["Created"], again["counts"]["Unchanged"]) == (0, 1)

    def covered() -> bool:
        row = api.call("GET", f"/api/coverage?maxAge=0&subscription={subscription}").json()["value"][0]
        return bool(row["verdicts"][0]["met"])

    assert api.until(covered)
    matrix = api.call("GET", f"/api/status?maxAge=0&subscription={subscription}").json()["value"][0]
    assert matrix["states"]["Alerts"]

    api.call("DELETE", "/api/exports/story", if_match=right.headers["etag"])
    gone = api.job(kind="reconcile", subscriptions=[subscription])["result"]
    assert gone["counts"]["Deleted"] in {0, 1}


def mine(api: Api) -> list[str]:
    automations = api.azure.tenant.all_automations()
    return [each["id"] for each in automations if each["tags"].get("defender-export-name") == "story"]
