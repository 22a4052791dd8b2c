"""Halves a BERT: its second, fourth, … layer learn to say what the whole one says, and to hold the same hidden states."""

import copy

import numpy as np
import torch

from fine_tuning import pad


def halved(teacher):
    """A copy of `teacher` with every second layer, the top one among them."""
    student = copy.deepcopy(teacher)
    student.bert.encoder.layer = torch.nn.ModuleList(student.bert.encoder.layer[1::2])
    student.config.num_hidden_layers = len(student.bert.encoder.layer)
    return student


def imitation(student, teacher, rows: list[list[int]], targets: np.ndarray, trust: list[float], options):
    """The mean loss of a batch, given its texts' numbers: cross-entropy against the targets [texts, 2], each mixed with the
    teacher's answer after its `trust`, and the squared difference of the hidden states of each kept layer."""
    teacher.eval()
    targets, trust = torch.from_numpy(targets), torch.tensor(trust)[:, None]

    def loss_of(batch: list[int]) -> torch.Tensor:
        given = pad([rows[index] for index in batch])
        with torch.no_grad():
            whole = teacher(**given, output_hidden_states=True)
        half = student(**given, output_hidden_states=True)
        known = given["attention_mask"].bool()
        wanted = torch.lerp(torch.softmax(whole.logits.float(), -1), targets[batch], trust[batch])
        answers = -(wanted * torch.log_softmax(half.logits.float(), -1)).sum(-1).mean()
        pairs = list(zip(half.hidden_states[1:], whole.hidden_states[2::2]))[-options.match :]
        distances = [(own.float() - given.float())[known].pow(2).mean() for own, given in pairs]
        return answers + options.hidden_weight * sum(distances) / len(distances)

    return loss_of


def add_halving_options(parser) -> None:
    parser.add_argument("--hidden-weight", type=float, default=1.0, help="of the hidden states' difference beside the answers'")
    parser.add_argument("--match", type=int, default=6, help="of how many layers, from the top, the hidden states are matched")
