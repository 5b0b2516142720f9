"""The smallest whole program: run it twice, or kill it, and Ada is greeted once."""

from holdfast import Agent, run, tool


@tool(safety="idempotent")
def greet(name: str) -> str:
    """Greet somebody."""
    return f"Hello, {name}"


agent = Agent("greeter", tools=[greet], plan={"hi": {"tool": "greet", "args": {"name": "Ada"}}})

if __name__ == "__main__":
    print(run(agent, id="ada", db="runs.db").result)
