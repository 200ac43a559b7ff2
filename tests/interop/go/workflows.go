package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// Purchase is the one of worker.rs.
type Purchase struct {
	ItemID string `json:"item_id"`
	UserID string `json:"user_id"`
}

var quickly = workflow.ActivityOptions{
	StartToCloseTimeout: 10 * time.Second,
	RetryPolicy:         &temporal.RetryPolicy{InitialInterval: 100 * time.Millisecond},
}

// Pack is an activity that needs two attempts.
func Pack(ctx context.Context, item string) (string, error) {
	if attempt := activity.GetInfo(ctx).Attempt; attempt == 1 {
		return "", errors.New("no box is at hand")
	}
	return item + " in a box", nil
}

// Orders packs one item after the other, as signals and updates bring them, until it is closed.
func Orders(ctx workflow.Context, item string) ([]string, error) {
	var packed []string
	pack := func(ctx workflow.Context, item string) error {
		ctx = workflow.WithActivityOptions(ctx, quickly)
		var parcel string
		err := workflow.ExecuteActivity(ctx, Pack, item).Get(ctx, &parcel)
		if err == nil {
			packed = append(packed, parcel)
		}
		return err
	}
	if err := workflow.SetQueryHandler(ctx, "packed", func() ([]string, error) { return packed, nil }); err != nil {
		return nil, err
	}
	err := workflow.SetUpdateHandlerWithOptions(ctx, "pack", func(ctx workflow.Context, item string) (int, error) {
		err := pack(ctx, item)
		return len(packed), err
	}, workflow.UpdateHandlerOptions{Validator: func(item string) error {
		if item == "" {
			return errors.New("nothing to pack")
		}
		return nil
	}})
	if err != nil {
		return nil, err
	}
	if err := pack(ctx, item); err != nil {
		return nil, err
	}
	more := workflow.GetSignalChannel(ctx, "more")
	closing := workflow.GetSignalChannel(ctx, "close")
	for open := true; open; {
		var failed error
		workflow.NewSelector(ctx).
			AddReceive(more, func(channel workflow.ReceiveChannel, _ bool) {
				var item string
				channel.Receive(ctx, &item)
				failed = pack(ctx, item)
			}).
			AddReceive(closing, func(channel workflow.ReceiveChannel, _ bool) {
				channel.Receive(ctx, nil)
				open = false
			}).
			Select(ctx)
		if failed != nil {
			return nil, failed
		}
	}
	return packed, workflow.Sleep(ctx, 10*time.Millisecond)
}

// BuyInRust calls an activity that is written in Rust.
func BuyInRust(ctx workflow.Context, purchase Purchase, rust string) (string, error) {
	options := quickly
	options.TaskQueue = rust
	ctx = workflow.WithActivityOptions(ctx, options)
	var receipt string
	err := workflow.ExecuteActivity(ctx, "do_purchase", purchase).Get(ctx, &receipt)
	var refused *temporal.ApplicationError
	if errors.As(err, &refused) {
		return fmt.Sprintf("%s: %s", refused.Type(), refused.Message()), nil
	}
	return receipt, err
}

// ManySteps runs that many activities at once.
func ManySteps(ctx workflow.Context, count int) (time.Duration, error) {
	ctx = workflow.WithActivityOptions(ctx, quickly)
	begin := workflow.Now(ctx)
	var steps []workflow.Future
	for range count {
		steps = append(steps, workflow.ExecuteActivity(ctx, Step))
	}
	for _, step := range steps {
		if err := step.Get(ctx, nil); err != nil {
			return 0, err
		}
	}
	return workflow.Now(ctx).Sub(begin), nil
}

// Step does nothing.
func Step(context.Context) error { return nil }
