"""Reinforcement learning: a pole on a cart, kept upright by an actor whom a critic advises.

Run: pynn run examples/11_actor_critic.py
"""

import math

import common
import torch
from torch import nn, optim
from torch.distributions import Categorical


class CartPole:
    """Many carts at once, pushed left or right 50 times a second. Barto, Sutton and Anderson 1983.

    State: place (m), speed, angle (rad), its speed. A cart fails beyond 2.4 m or 12 degrees and starts anew;
    after 500 steps it has won and starts anew too.
    """

    def __init__(self, count):
        self.state, self.age = self._fresh(count), torch.zeros(count)

    @staticmethod
    def _fresh(count):
        return torch.rand(count, 4) * 0.1 - 0.05

    def step(self, right):
        """Pushes (N,) of 0 and 1 to the new states (N, 4), whether each cart failed, and whether its run ended."""
        x, v, a, w = self.state.unbind(1)
        sine, cosine = a.sin(), a.cos()
        force = 20.0 * right - 10.0
        pull = (force + 0.05 * w**2 * sine) / 1.1  # pole: 0.1 kg, half its length 0.5 m; cart and pole 1.1 kg
        turn = (9.8 * sine - cosine * pull) / (0.5 * (4 / 3 - 0.1 * cosine**2 / 1.1))
        push = pull - 0.05 * turn * cosine / 1.1
        self.state = torch.stack([x + 0.02 * v, v + 0.02 * push, a + 0.02 * w, w + 0.02 * turn], dim=1)
        self.age += 1
        failed = (self.state[:, 0].abs() > 2.4) | (self.state[:, 2].abs() > math.radians(12))
        ended = failed | (self.age >= 500)
        lengths = self.age[ended].tolist()
        self.age[ended] = 0
        self.state = torch.where(ended[:, None], self._fresh(len(ended)), self.state)
        return self.state, failed, ended, lengths


args = common.options(__doc__, updates=(1200, 5), carts=(16, 4), lr=(3e-3, 3e-3))
actor = nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 2))
critic = nn.Sequential(nn.Linear(4, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
optimizer = optim.Adam([*actor.parameters(), *critic.parameters()], lr=args.lr)
scheduler = optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.1, total_iters=args.updates)
world, discount, horizon = CartPole(args.carts), 0.99, 32

finished, means = [], []
for _ in (bar := common.progress(range(args.updates), "balancing")):
    states, chances, entropies, rewards, ends = [], [], [], [], []
    state = world.state
    for _ in range(horizon):
        choice = Categorical(logits=actor(state))
        push = choice.sample()
        states.append(state)
        chances.append(choice.log_prob(push))
        entropies.append(choice.entropy())
        state, failed, ended, lengths = world.step(push)
        finished += lengths
        rewards.append(1.0 - failed.float())
        ends.append(ended)

    with (
        torch.no_grad()
    ):  # what each step was worth: its rewards until the end, and the critic's word for the rest
        value, returns = critic(state).squeeze(1), []
        for reward, ended in zip(reversed(rewards), reversed(ends)):
            value = reward + discount * value * ~ended
            returns.insert(0, value)
    returns = torch.stack(returns)
    values = critic(torch.stack(states)).squeeze(2)
    advantage = (returns - values).detach()
    advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-6)  # else steps grow with the returns
    loss = (
        -(torch.stack(chances) * advantage).mean()
        + 0.5 * (returns - values).square().mean()
        - 0.01 * torch.stack(entropies).mean()
    )
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_([*actor.parameters(), *critic.parameters()], 0.5)
    optimizer.step()
    scheduler.step()
    if finished:
        means.append(sum(finished[-50:]) / len(finished[-50:]))
        bar.set_postfix(steps=f"{means[-1]:.0f}")

# The trained actor without dice.
world, total = CartPole(20), []
with torch.no_grad():
    for _ in range(500 if not args.quick else 100):
        total += world.step(actor(world.state).argmax(1))[3]
lengths = total + world.age[world.age > 0].tolist()
common.plot(args.out / "11_actor_critic.png", steps_until_the_pole_fell=means)
print(f"upright for {sum(lengths) / len(lengths):.1f} steps on average, of 500")
