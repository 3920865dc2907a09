"""Training rows of the published schema, made by hand."""


def turn(role, content):
    return {"content": content, "role": role}


def row(index, question="12+3=", target="1+2;\\boxed{15}", answer="15", system="abc"):
    return {
        "data_source": "synthetic",
        "prompt": [turn("system", system), turn("user", question)],
        "target": None if target is None else [turn("assistant", target)],
        "ability": "math",
        "reward_model": {"ground_truth": answer, "style": "rule"},
        "extra_info": {"index": index, "split": "default"},
    }
